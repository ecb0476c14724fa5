"""Written synapses as matrices that Lava's LearningDense holds, and the spikes that write them.

A group is cut into blocks, one matrix for each combination of indices that source and target share:
what one head writes does not reach another's.  A block has a LearningDense for each slice of 7
bits.  Learning rules of lava-nc 0.10.0 with an epoch of one step write a slice exactly; traces are
unsigned, so a digit of -64 .. 63 travels as digit + 64:

    ROWS     the slot is a target compartment.  Values come as graded spikes (payload 2 x1), the
             pointer as spikes of the target compartments
    COLUMNS  the slot is a source compartment.  The pointer comes as spikes of the source, values as
             the third factor y1; all target compartments spike
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from compiler.netlist.model import SLICE_BITS, Netlist, Population, Synapses, Written
from las_neuro.integers import Ints

OFFSET = 1 << (SLICE_BITS - 1)
ROWS = f"x0*y0*x1 - 2^{SLICE_BITS - 1}*y0 - y0*w"
COLUMNS = f"x0*y0*y1 - 2^{SLICE_BITS - 1}*x0*y0 - x0*y0*w"


@dataclass(frozen=True)
class Block:
    """One matrix of a written group, [n_post, n_pre]."""

    pre: Ints  # [n_pre]: compartments of the source
    post: Ints  # [n_post]: compartments of the target
    values: Ints  # compartments of the population that is written: [n_pre] of ROWS, else [n_post]
    content: Ints  # [n_post, n_pre]: places in the group's content


def by_rows(group: Synapses, net: Netlist) -> bool:
    """Whether a group's slots are compartments of its target."""
    form = group.form
    assert isinstance(form, Written)
    return form.axes[form.slot_axis] in net.populations[group.target].axes


def blocks(group: Synapses, net: Netlist) -> Iterator[Block]:
    """The matrices of a written group."""
    form = group.form
    assert isinstance(form, Written)
    source, target = net.populations[group.source], net.populations[group.target]
    sizes = net.content_axes(form)
    shared = [axis for axis in target.axes if axis in source.axes or axis not in sizes]
    written = net.populations[form.value].axes
    for indices in product(*(range(target.axes[axis]) for axis in shared)):
        at = dict(zip(shared, indices, strict=True))
        pre, along_pre = _compartments(source, at)
        post, along_post = _compartments(target, at)
        along = at | along_post | {axis: index[None] for axis, index in along_pre.items()}
        along |= {axis: index[:, None] for axis, index in along_post.items()}
        places = np.broadcast_arrays(
            *(along[axis] for axis in sizes), np.zeros((len(post), len(pre)))
        )
        content = np.ravel_multi_index(
            tuple(place.astype(np.int64) for place in places[:-1]), tuple(sizes.values())
        )
        line = at | (along_pre if by_rows(group, net) else along_post)
        count = len(pre if by_rows(group, net) else post)
        values = _flat([np.broadcast_to(line[axis], count) for axis in written], written)
        yield Block(pre, post, values, content)


def _compartments(population: Population, at: dict[str, int]) -> tuple[Ints, dict[str, Ints]]:
    """The compartments at some indices, and their indices along the other axes, [n]."""
    numbers = np.arange(population.n).reshape(list(population.axes.values()))
    chosen = numbers[tuple(at.get(axis, slice(None)) for axis in population.axes)].reshape(-1)
    along = np.unravel_index(chosen, tuple(population.axes.values()) or (1,))
    indices = dict(zip(population.axes, along, strict=False))
    return chosen, {axis: index for axis, index in indices.items() if axis not in at}


def _flat(indices: list[Ints], axes: dict[str, int]) -> Ints:
    """Indices along axes as numbers of compartments."""
    if not axes:
        return np.zeros(1, np.int64)
    places = tuple(index.astype(np.int64) for index in indices)
    flat: Ints = np.ravel_multi_index(places, tuple(axes.values()))
    return flat


def digit(value: Ints, place: int) -> Ints:
    """Digit -64 .. 63 of each value at a place, the lowest being 0."""
    for _ in range(place):
        value = (value + OFFSET) >> SLICE_BITS
    return ((value + OFFSET) & (2 * OFFSET - 1)) - OFFSET


@dataclass(frozen=True)
class Tap:
    """One more output of a population: what it sends to one block of a written group.

    Payloads of some compartments as they are (place None), or the digits at a place, as traces
    take them: digit + 64, `factor` times.  ones: a spike from each compartment instead.
    """

    port: str
    compartments: Ints
    place: int | None = None
    factor: int = 1
    ones: bool = False

    def of(self, payload: Ints | None) -> Ints:
        """The output at one step; payload: None where the population sends nothing."""
        if payload is None:
            return np.zeros(len(self.compartments), np.int64)
        if self.ones:
            return np.ones(len(self.compartments), np.int64)
        own: Ints = payload[self.compartments]
        return own if self.place is None else self.factor * (digit(own, self.place) + OFFSET)


def block_name(number: int, block: int) -> str:
    """How ports and processes of a block are called; number: of its group in the netlist."""
    return f"group{number}_block{block}"


def taps(net: Netlist) -> dict[str, list[Tap]]:
    """Population -> its additional outputs."""
    outputs: dict[str, list[Tap]] = {name: [] for name in net.populations}
    for number, group in enumerate(net.synapses):
        form = group.form
        if not isinstance(form, Written):
            continue
        rows, slots = by_rows(group, net), np.arange(net.populations[form.pointer].n)
        for i, block in enumerate(blocks(group, net)):
            name = block_name(number, i)
            outputs[group.source].append(Tap(f"read_{name}", block.pre))
            outputs[form.pointer].append(Tap(f"slot_{name}", slots))
            if not rows:
                outputs[form.value].append(Tap(f"enable_{name}", block.post, ones=True))
            for place in range(form.slices):
                port = f"write_{name}_{place}"
                outputs[form.value].append(Tap(port, block.values, place, 2 if rows else 1))
    return outputs

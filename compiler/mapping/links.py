"""Links: which compartments send to which core, and which blocks send partial sums.

A spike goes once to each core that holds a synapse of its compartment, however many synapses and
groups wait there; dense and written weights of sums live in blocks, all others with the target's
compartments.  A number to be written and its pointer's spike go where the written synapses are.  A
block away from its rows' compartments sends them one sum a row and run of steps between cuts.
Expected messages are estimates for the placer; traffic.py measures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compiler.mapping.footprint import compartments_of, expected_spikes, lane_axes, segments
from compiler.mapping.mesh import Ints
from compiler.netlist.model import (
    Block,
    Dense,
    Gather,
    Netlist,
    Placement,
    Synapses,
    Tile,
    Written,
)
from compiler.netlist.wiring import Wiring
from las_neuro.graph import Axes

Row = tuple[int, int, int, int, int]  # population, core that sends, core that receives, start, stop


@dataclass(frozen=True)
class Links:
    """All links; each array has one entry per link.

    population: its number in the netlist.
    Spikes: compartments start .. stop of the population, on `sender`, send to `receiver`.
    Partial sums: those of its compartments start .. stop, made on `sender`, go to `receiver`.
    """

    population: Ints
    sender: Ints
    receiver: Ints
    start: Ints
    stop: Ints
    partial: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.population)

    def expected(self, net: Netlist) -> NDArray[np.float64]:
        """Messages per token on each link, estimated without a run."""
        wiring = Wiring(net)
        each = np.array(
            [(expected_spikes(wiring, p.name), segments(p)) for p in net.populations.values()]
        )
        per_row = np.where(self.partial, each[self.population, 1], each[self.population, 0])
        result: NDArray[np.float64] = per_row * (self.stop - self.start)
        return result


def links(net: Netlist, placement: Placement | None = None) -> Links:
    """All links of a placed netlist: spikes by population in order, then partial sums.

    Raises ValueError where there is no placement.
    """
    placement = placement or net.placement
    if placement is None:
        raise ValueError("links needs a placed netlist")
    tiles: dict[str, list[Tile]] = {name: [] for name in net.populations}
    for tile in placement.tiles:
        tiles[tile.population].append(tile)
    for own in tiles.values():
        own.sort(key=lambda tile: tile.start)
    blocks: dict[int, list[Block]] = {}
    for block in placement.blocks:
        blocks.setdefault(block.group, []).append(block)
    spikes = list(_spikes(net, tiles, blocks))
    sums = list(_partials(net, tiles, blocks))
    rows = np.array(spikes + sums, np.int64).reshape(-1, 5)
    partial = np.arange(len(rows)) >= len(spikes)
    return Links(rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3], rows[:, 4], partial)


def _spikes(
    net: Netlist, tiles: dict[str, list[Tile]], blocks: dict[int, list[Block]]
) -> Iterator[Row]:
    wiring = Wiring(net)
    for number, name in enumerate(net.populations):
        by_core: dict[int, list[tuple[int, int]]] = {}  # core -> start, stop
        for core, start, stop in _reached(wiring, name, tiles, blocks):
            by_core.setdefault(core, []).append((start, stop))
        for core, ranges in by_core.items():
            for start, stop in _merged(ranges):
                for sender, first, last in _split(tiles[name], start, stop):
                    yield number, sender, core, first, last


def _reached(
    wiring: Wiring, name: str, tiles: dict[str, list[Tile]], blocks: dict[int, list[Block]]
) -> Iterator[tuple[int, int, int]]:
    """(core, start, stop) of the compartments whose spikes a core needs, to add up or to write."""
    net: Netlist = wiring.net  # type: ignore[assignment]
    writes = [
        (i, net.synapses[i]) for i, form in wiring.written if name in (form.value, form.pointer)
    ]
    for i, group in [*wiring.numbered_out_of(name), *writes]:
        own = tiles[group.target], blocks.get(i, [])
        for core, compartments in _heard(net, group, name, *own):
            for start, stop in _ranges(compartments):
                yield core, start, stop


def _heard(
    net: Netlist, group: Synapses, name: str, tiles: list[Tile], blocks: list[Block]
) -> Iterator[tuple[int, Ints]]:
    """(core, compartments of a population that send to a group's synapses on it)."""
    axes = net.populations[name].axes
    for block in blocks:
        if isinstance(group.form, Dense):
            yield block.core, np.arange(*block.cols)
        else:
            yield block.core, _to_block(net, group, block, axes)
    for tile in () if blocks else tiles:
        if isinstance(group.form, Gather):
            yield tile.core, np.unique(group.form.index[tile.start : tile.stop]).astype(np.int64)
        else:
            target = net.populations[group.target].axes
            yield tile.core, _along_axes(axes, _indices(target, np.arange(tile.start, tile.stop)))


def _indices(axes: Axes, places: Ints) -> dict[str, Ints]:
    """Indices along axes of flat places."""
    if not axes:
        return {}
    return dict(zip(axes, np.unravel_index(places, tuple(axes.values())), strict=True))


def _to_block(net: Netlist, group: Synapses, block: Block, axes: Axes) -> Ints:
    """Compartments, of a population with these axes, that a block of written weights needs."""
    assert isinstance(group.form, Written)
    sizes, target = net.content_axes(group.form), net.populations[group.target].axes
    rows = {axis: target[axis] for axis in target if axis in sizes}
    found = _along_axes(axes, _indices(rows, np.arange(*block.rows)))
    columns = {axis: size for axis, size in sizes.items() if axis not in target}
    if not set(columns) <= set(axes):
        return found
    along = _indices(axes, found)
    column = np.ravel_multi_index(tuple(along[a] for a in columns), tuple(columns.values()))
    return found[(column >= block.cols[0]) & (column < block.cols[1])]


def _ranges(places: Ints) -> Iterator[tuple[int, int]]:
    """Sorted indices as ranges without gaps."""
    breaks = np.flatnonzero(np.diff(places) != 1)
    firsts = places[np.concatenate(([0], breaks + 1))]
    lasts = places[np.concatenate((breaks, [len(places) - 1]))]
    yield from zip(firsts.tolist(), (lasts + 1).tolist(), strict=True)


def _along_axes(source: Axes, here: dict[str, Ints]) -> Ints:
    """Compartments of a population that agree with some of these indices on common axes."""
    if not set(source) & set(here):
        return np.arange(math.prod(source.values()), dtype=np.int64)
    here = dict(here)
    first, height = 0, next(iter(source.values()))  # the part of the outermost axis that is needed
    outer = next(iter(source))
    if outer in here:
        first = int(here[outer].min())
        height = int(here[outer].max()) + 1 - first
        here[outer] = here[outer] - first
    field = {**source, outer: height}
    shared = [axis for axis in source if axis in here]
    live = np.zeros([field[axis] for axis in shared], bool)
    live[tuple(here[axis] for axis in shared)] = True
    spread = live.reshape([field[axis] if axis in here else 1 for axis in source])
    whole = np.broadcast_to(spread, tuple(field.values()))
    inner = int(np.prod(list(source.values())[1:], dtype=np.int64))
    sources: Ints = np.flatnonzero(whole) + first * inner
    return sources


def _merged(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Union of ranges."""
    begin, end = -1, -1
    for start, stop in sorted(ranges):
        if start > end:
            if begin >= 0:
                yield begin, end
            begin, end = start, stop
        else:
            end = max(end, stop)
    if begin >= 0:
        yield begin, end


def _split(tiles: list[Tile], start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """(core, start, stop) of each tile's part of a range."""
    starts = [tile.start for tile in tiles]
    at = int(np.searchsorted(starts, start, "right")) - 1
    while at < len(tiles) and tiles[at].start < stop:
        yield tiles[at].core, max(start, tiles[at].start), min(stop, tiles[at].stop)
        at += 1


def _partials(
    net: Netlist, tiles: dict[str, list[Tile]], blocks: dict[int, list[Block]]
) -> Iterator[Row]:
    numbers = {name: number for number, name in enumerate(net.populations)}
    for i, own in blocks.items():
        target = net.populations[net.synapses[i].target]
        lanes = lane_axes(net, target)
        for block in own:
            for first, last in compartments_of(target.axes, lanes, *block.rows):
                for core, start, stop in _split(tiles[target.name], first, last):
                    if core != block.core:
                        yield numbers[target.name], block.core, core, start, stop

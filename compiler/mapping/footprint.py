"""Footprint: what a piece of a netlist uses of a core, in the units of the target's limits.

Assumptions where Intel publishes nothing (each marked [I] in the target files):
    Dense     one list of weights per input axon, each weight of its group's width, the list rounded
              up to whole words
    Pattern   sources with the same targets share one input axon (an output axon names core and
              axon), so a core stores at most one synapse per target compartment, and one axon per
              combination of indices on the shared axes
    Gather    one sparse synapse and one input axon per target compartment
    Written   one plastic synapse for each slice of 7 bits; compartments that share weights (queries
              of one key head) read the same synapses, as shared weights of convolutions are read
    state     per compartment, a kind's state words (Kind.state_bits) and the parameters with one
              value per compartment, always including the rescaling of sums of Dense weights (it
              differs by output row); scalars and tables once per core
    fan-in    synapses that spikes can reach in one step; not a limit of the chip, but a balance, so
              that no core sums far longer than a core full of Dense weights (a sum over a context
              would)
    partial   a block on another core than its rows' compartments has one 24-bit word per row
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from compiler.netlist.model import (
    Dense,
    Gather,
    Network,
    Pattern,
    Population,
    Synapses,
    Written,
)
from compiler.netlist.reach import digit_widths
from compiler.netlist.wiring import Wiring
from compiler.targets.target import Figure, Target
from las_neuro.graph import Axes

UNLIMITED = 1 << 62
WORD = 64  # bits of a synapse-memory word
# Expected spikes per step of a binary code: LAS with 16 steps sends 6.46 spikes per value, for
# values drawn from N(0, 1) and a threshold of 10 standard deviations.
FIRING = 0.4
SIGNED_FIRING = 0.29  # of a signed-digit code: 0.725 of a binary one's, on examples/tiny_lm


class Use(NamedTuple):
    """What a piece uses of a core, or what a core has; state in bytes, memories in 64-bit words."""

    compartments: int = 0
    synapse_words: int = 0
    pool_words: int = 0
    state_bytes: int = 0
    neuron_groups: int = 0
    input_axons: int = 0
    fan_in: int = 0

    def plus(self, other: Use) -> Use:
        return Use(*map(sum, zip(self, other, strict=True)))

    def fits(self, capacity: Use) -> bool:
        return all(need <= has for need, has in zip(self, capacity, strict=True))

    def share(self, capacity: Use) -> float:
        """Largest fraction used of any limit."""
        return max(need / has for need, has in zip(self, capacity, strict=True))


@dataclass(frozen=True)
class Capacity:
    """Capacity of an empty core of a target, and the bits of its items; hashable."""

    limit: Use
    dense_bits: int  # of a dense synapse with the widest weight that the target has
    weight_bits: int  # of that weight
    sparse_bits: int
    plastic_bits: int
    axon_bits: int
    map_bits: int
    word_bits: int

    @staticmethod
    def of(net: Network[Any], target: Target) -> Capacity:
        """The capacity for a net, whose narrowest weights set the fan-in of a full core."""
        core, widest = target.core, int(target.word.weight_bits)
        dense = int(core.dense_synapse_bits)
        narrowest = min(weight_widths(net), default=widest)
        limit = Use(
            int(core.compartments),
            int(core.synapse_words),
            _limit(core.pool_words),
            _limit(core.state_bytes),
            _limit(core.neuron_groups),
            int(core.input_axons),
            int(core.synapse_words) * WORD // _scaled(dense, narrowest, widest),
        )
        axon = int(core.input_axon_bits) if core.input_axon_bits else 0
        mapped = int(core.axon_map_bits) if core.axon_map_bits else 0
        sparse, plastic = int(core.sparse_synapse_bits), int(core.plastic_synapse_bits)
        word = int(target.word.state_bits)
        return Capacity(limit, dense, widest, sparse, plastic, axon, mapped, word)

    def weight(self, bits: int) -> int:
        """Bits of synapse memory for a dense weight of `bits` bits."""
        return _scaled(self.dense_bits, bits, self.weight_bits)

    def use(
        self, compartments: int, words: int, state_bits: int, axons: int, sends: bool = True
    ) -> Use:
        """Use of one neuron group with its synapses.

        words: of synapse memory.  sends: whether the compartments need an axon map.
        """
        routing = axons * self.axon_bits + sends * compartments * self.map_bits
        pool = words + -(-routing // WORD)
        return Use(compartments, words, pool, -(-state_bits // 8), 1, axons)


def _scaled(dense: int, bits: int, widest: int) -> int:
    return math.ceil(dense * bits / widest)


def weight_widths(net: Network[Any]) -> dict[int, int]:
    """Bits -> number of dense weights with so many bits, in rising order."""
    widths: dict[int, int] = {}
    for group in net.synapses:
        if isinstance(form := group.form, Dense):
            widths[form.bits] = widths.get(form.bits, 0) + math.prod(form.weights.shape)
    return dict(sorted(widths.items()))


def _limit(figure: Figure | None) -> int:
    return UNLIMITED if figure is None else int(figure)


@dataclass(frozen=True)
class AlongAxes:
    """What grows with the values that some axes take in a piece of a population.

    axes: which of the row axes; times: how much of it for each combination of their values.
    """

    axes: tuple[bool, ...]
    times: int


@dataclass(frozen=True)
class TileCost:
    """What compartments of one population take, without its Dense synapses.

    A population is cut into rows of `lanes` compartments: those that share their written weights
    (queries of one key head) stay on one core; elsewhere a row is one compartment.
    """

    own_bits: int  # of state and parameters, each compartment
    shared_bits: int  # scalars and tables, once a core
    sizes: tuple[int, ...]  # of the population's row axes
    lanes: int
    patterns: tuple[AlongAxes, ...]  # input axons of each Pattern
    gathers: int
    summed: int  # synapses of one compartment in Patterns that add up several sources
    written: tuple[AlongAxes, ...]  # written synapses of each group
    written_axons: tuple[AlongAxes, ...]
    sends: bool

    def use(self, capacity: Capacity, n: int, step: int) -> Use:
        """Rows i .. i + n of the population, where `step` divides i and n <= step."""
        compartments = n * self.lanes
        axons = compartments * self.gathers
        axons += sum(min(compartments, self._count(one, n, step)) for one in self.patterns)
        axons += sum(self._count(one, n, step) for one in self.written_axons)
        plastic = sum(self._count(one, n, step) for one in self.written)
        synapses = compartments * (self.gathers + len(self.patterns))
        bits = synapses * capacity.sparse_bits + plastic * capacity.plastic_bits
        state = compartments * self.own_bits + self.shared_bits
        fan_in = compartments * self.summed + plastic * self.lanes
        if n == 1:
            fan_in = min(fan_in, capacity.limit.fan_in)
        use = capacity.use(compartments, -(-bits // WORD), state, axons, self.sends)
        return use._replace(fan_in=fan_in)

    def _count(self, along: AlongAxes, n: int, step: int) -> int:
        """At most how much a range has: combinations of the axes' values, times what each has."""
        inner, total = 1, 1
        for size, counts in zip(reversed(self.sizes), reversed(along.axes), strict=True):
            if counts:
                total *= min(size, _places(n, step, inner))
            inner *= size
        return min(n, total) * along.times

    @property
    def rows(self) -> int:
        return math.prod(self.sizes)

    def aligned(self, most: int) -> list[int]:
        """Tile sizes up to `most` rows that end where an axis ends."""
        inner, sizes = 1, []
        for size in reversed((0, *self.sizes)):
            if inner <= most:
                sizes.append(most // inner * inner)
            inner *= size
        return sizes


def lane_axes(net: Network[Any], population: Population) -> tuple[str, ...]:
    """The axes that the written weights into a population's sum lack: they share the weights."""
    port = population.does.sum_port
    forms = [g.form for g in net.into(population.name) if g.port == port]
    written = [form for form in forms if isinstance(form, Written)]
    return tuple(a for a in population.axes if written and a not in written[0].axes)


def _places(n: int, step: int, inner: int) -> int:
    """Places of an axis that n compartments from a multiple of `step` on can touch."""
    if inner % step == 0:
        return 1
    if step % inner == 0:
        return -(-n // inner)
    return (n - 2) // inner + 2 if n > 1 else 1


def tile_costs(net: Network[Any]) -> dict[str, TileCost]:
    """The cost of every population's compartments, from kind, parameters and incoming groups."""
    wiring = Wiring(net)
    return {
        name: _tile_cost(net, population, wiring.into(name), bool(wiring.out_of(name)))
        for name, population in net.populations.items()
    }


def _tile_cost(
    net: Network[Any], population: Population, into: list[Synapses], sends: bool
) -> TileCost:
    kind, dense, lanes = population.does, False, lane_axes(net, population)
    rows = {axis: size for axis, size in population.axes.items() if axis not in lanes}
    patterns, written, axons, gathers, summed = [], [], [], 0, 0
    for group in into:
        form, source = group.form, net.populations[group.source]
        if isinstance(form, Dense):
            dense = True
        elif isinstance(form, Gather):
            gathers += 1
        else:
            heard = tuple(axis in source.axes for axis in rows)
            times = math.prod(size for axis, size in source.axes.items() if axis in lanes)
        if isinstance(form, Pattern):
            patterns.append(AlongAxes(heard, times))
            fan_in = fan_in_of(net, group)
            summed += fan_in if fan_in > 1 else 0
        elif isinstance(form, Written) and not net.in_blocks(group):
            held = tuple(axis in form.axes for axis in rows)
            written.append(AlongAxes(held, form.slices))
            axons += [AlongAxes(heard, times), AlongAxes(held, 1)]
    own, shared = kind.state_bits, 0
    scaling = kind.rescaling
    by_row = () if scaling is None else (scaling.multiplier, scaling.shift, scaling.bias)
    for name, param in kind.params.items():
        if not param.chip:
            continue
        value = np.asarray(population.params.get(name, 0))
        if (value.ndim and len(value) == population.n > 1) or (dense and name in by_row):
            own += param.bits
        else:
            shared += param.bits * value.size
    return TileCost(
        own,
        shared,
        tuple(rows.values()),
        population.n // math.prod(rows.values()),
        tuple(patterns),
        gathers,
        summed,
        tuple(written),
        tuple(axons),
        sends,
    )


def fan_in_of(net: Network[Any], group: Synapses) -> int:
    """Source compartments that one target compartment hears in a group that is not dense."""
    if isinstance(group.form, Gather):
        return 1
    source, target = net.populations[group.source], net.populations[group.target]
    return math.prod(size for axis, size in source.axes.items() if axis not in target.axes)


@dataclass(frozen=True)
class BlockCost:
    """What blocks of one kind of synapses take: dense weights, or written ones.

    Rows of written weights are shared by `lanes` target compartments, columns by as many source
    compartments for each head, a head being `head_rows` rows that hear the same columns.
    """

    planes: int  # dense groups stored together, or slices of a number
    bits: int  # of a dense weight; 0: written
    lanes: int
    head_rows: int

    def use(self, capacity: Capacity, rows: int, cols: int) -> Use:
        """Synapses of rows x cols on the core of the rows' compartments."""
        bits = capacity.weight(self.bits) if self.bits else capacity.plastic_bits
        words = self.planes * cols * -(-rows * bits // WORD)
        axons = cols * self.lanes * _places(rows, rows, self.head_rows)
        if not self.bits:  # what writes reaches each row
            words, axons = words + -(-rows * capacity.sparse_bits // WORD), axons + rows
        use = capacity.use(0, words, 0, axons)
        return use._replace(neuron_groups=0, fan_in=self.reached(rows, cols))

    def partial(self, capacity: Capacity, rows: int, cols: int) -> Use:
        """The same on another core: one compartment more for each that gets partial sums."""
        sums = rows * self.lanes
        return capacity.use(sums, 0, sums * capacity.word_bits, 0).plus(
            self.use(capacity, rows, cols)
        )

    def reached(self, rows: int, cols: int) -> int:
        """Synapses that one spike of every source compartment reaches."""
        return rows * cols * self.planes * self.lanes


def block_cost(net: Network[Any], group: Synapses, planes: int = 1) -> BlockCost:
    """The cost of a dense group's blocks, or of a written group's.

    planes: how many dense groups are stored together.
    """
    form, target = group.form, net.populations[group.target]
    if isinstance(form, Dense):
        return BlockCost(planes, form.bits, 1, target.n)
    assert isinstance(form, Written)
    rows = net.block_shape(group)[0]
    source, sizes = net.populations[group.source].axes, net.content_axes(form)
    heads = math.prod(sizes[axis] for axis in sizes if axis in target.axes and axis in source)
    return BlockCost(form.slices, 0, target.n // rows, rows // heads)


def compartments_of(
    axes: Axes, lanes: tuple[str, ...], start: int, stop: int
) -> list[tuple[int, int]]:
    """Runs (first, one past the last) of the compartments in rows start .. stop of a population.

    A row has one compartment for each combination of the lane axes.
    """
    places = {axis: list(axes).index(axis) for axis in axes}
    rows = [size for axis, size in axes.items() if axis not in lanes]
    if not lanes or len(rows) == len(axes):
        return [(start, stop)]
    strides = np.array([math.prod(list(axes.values())[places[a] + 1 :]) for a in axes])
    row_strides = [strides[places[axis]] for axis in axes if axis not in lanes]
    index = np.unravel_index(np.arange(start, stop), rows)
    first = sum(i * stride for i, stride in zip(index, row_strides, strict=True))
    own = [range(0, axes[axis] * strides[places[axis]], strides[places[axis]]) for axis in lanes]
    every = np.sort(np.concatenate([first + sum(offset) for offset in product(*own)]))
    cuts = np.flatnonzero(np.diff(every) != 1) + 1
    return [(int(run[0]), int(run[-1]) + 1) for run in np.split(every, cuts)]


def segments(population: Population) -> int:
    """Partial sums that a block sends to one compartment per token: one per segment.

    A segment is the steps between two cuts.
    """
    segments_of = population.does.segments
    if segments_of is None or "cut" not in population.params:
        return 1
    return max(1, len(segments_of(population.params)))


def expected_spikes(wiring: Wiring, name: str) -> float:
    """Spikes of one compartment per token, estimated without a run."""
    population: Population = wiring.net.populations[name]
    if population.does.one_hot:
        return 1.0 / population.n
    widths = digit_widths(wiring, name)
    if not widths:
        return 1.0
    if population.params.get("signed_digit"):
        return SIGNED_FIRING * len(widths)
    return sum(1 - (1 - FIRING) ** width for width in widths)  # a digit that is not 0

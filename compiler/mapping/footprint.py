"""Footprint: what a piece of a netlist uses of a core, in the units of the target's limits.

Assumptions where Intel publishes nothing (each marked [I] in the target files):
    Dense     one list of weights per input axon, each weight of its group's width, the list rounded
              up to whole words
    Pattern   sources with the same targets share one input axon (an output axon names core and
              axon), so a core stores at most one synapse per target compartment, and one axon per
              combination of indices on the shared axes
    Gather    one sparse synapse and one input axon per target compartment
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
from typing import Any, NamedTuple

import numpy as np

from compiler.netlist.model import Dense, Network, Pattern, Population, Synapses
from compiler.netlist.reach import digit_widths
from compiler.netlist.wiring import Wiring
from compiler.targets.target import Figure, Target

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
        sparse, word = int(core.sparse_synapse_bits), int(target.word.state_bits)
        return Capacity(limit, dense, widest, sparse, axon, mapped, word)

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
class TileCost:
    """What compartments of one population use, without their Dense synapses."""

    own_bits: int  # of state and parameters, per compartment
    shared_bits: int  # of scalars and tables, once per core
    sizes: tuple[int, ...]  # of the population's axes
    shared_axes: tuple[tuple[bool, ...], ...]  # per Pattern: which axes its source has too
    gathers: int  # incoming Gathers
    fan_in: int  # synapses of one compartment in Patterns that sum several sources
    sends: bool

    def use(self, capacity: Capacity, n: int, step: int) -> Use:
        """Use of compartments i .. i + n of a population, where `step` divides i and n <= step."""
        axons = n * self.gathers
        for shared in self.shared_axes:
            axons += min(n, self._combinations(shared, n, step))
        synapses = n * (self.gathers + len(self.shared_axes))
        words = -(-synapses * capacity.sparse_bits // WORD)
        state = n * self.own_bits + self.shared_bits
        fan_in = min(n * self.fan_in, capacity.limit.fan_in) if n == 1 else n * self.fan_in
        return capacity.use(n, words, state, axons, self.sends)._replace(fan_in=fan_in)

    def _combinations(self, shared: tuple[bool, ...], n: int, step: int) -> int:
        """Upper bound of the combinations of indices on the shared axes in such a range."""
        inner, total = 1, 1
        for size, is_shared in zip(reversed(self.sizes), reversed(shared), strict=True):
            if is_shared:
                total *= min(size, _places(n, step, inner))
            inner *= size
        return total

    def aligned(self, most: int) -> list[int]:
        """Tile sizes up to `most` at which a tile ends where an axis ends."""
        inner, sizes = 1, []
        for size in reversed((0, *self.sizes)):
            if inner <= most:
                sizes.append(most // inner * inner)
            inner *= size
        return sizes


def _places(n: int, step: int, inner: int) -> int:
    """Most indices of an axis that n compartments, from a multiple of `step` on, can have.

    inner: product of the sizes of all axes after it.
    """
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
    kind, dense = population.does, False
    shared_axes, gathers, fan_in = [], 0, 0
    for group in into:
        if isinstance(group.form, Dense):
            dense = True
        elif isinstance(group.form, Pattern):
            axes = group.form.source
            shared_axes.append(tuple(axis in axes for axis in population.axes))
            synapses = fan_in_of(net, group)
            fan_in += synapses if synapses > 1 else 0
        else:
            gathers += 1
    own, shared = kind.state_bits, 0
    scaling = kind.rescaling
    by_row = () if scaling is None else (scaling.multiplier, scaling.shift, scaling.bias)
    for name, param in kind.params.items():
        value = np.asarray(population.params.get(name, 0))
        if (value.ndim and len(value) == population.n > 1) or (dense and name in by_row):
            own += param.bits
        else:
            shared += param.bits * value.size
    sizes = tuple(population.axes.values())
    return TileCost(own, shared, sizes, tuple(shared_axes), gathers, fan_in, sends)


def fan_in_of(net: Network[Any], group: Synapses) -> int:
    """Synapses that one target compartment has in a Pattern or Gather."""
    if not isinstance(group.form, Pattern):
        return 1
    axes = net.populations[group.source].axes
    return math.prod(size for axis, size in axes.items() if axis not in group.form.target)


def block_use(capacity: Capacity, rows: int, cols: int, planes: int, bits: int) -> Use:
    """Use of dense synapses, rows x cols in each plane, on the core of the rows' compartments."""
    words = planes * cols * -(-rows * capacity.weight(bits) // WORD)
    fan_in = rows * cols * planes
    return capacity.use(0, words, 0, cols)._replace(neuron_groups=0, fan_in=fan_in)


def partial_use(capacity: Capacity, rows: int, cols: int, planes: int, bits: int) -> Use:
    """The same on another core: with one additional compartment per row, for partial sums."""
    sums = capacity.use(rows, 0, rows * capacity.word_bits, 0)
    return sums.plus(block_use(capacity, rows, cols, planes, bits))


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
    widths, coder = digit_widths(wiring, name), wiring.coder(name)
    if not widths:
        return 1.0
    if coder is not None and coder.params.get("signed_digit"):
        return SIGNED_FIRING * len(widths)
    return sum(1 - (1 - FIRING) ** width for width in widths)  # a digit that is not 0

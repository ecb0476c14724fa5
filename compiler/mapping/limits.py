"""limits: every hardware limit as one small check, and the choice of a target.

A check's docstring is part of the error that the user reads: population, docstring, need, limit
with its source, remedy.  The first excess raises; nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from compiler.mapping.footprint import (
    Capacity,
    Use,
    block_cost,
    compartments_of,
    lane_axes,
    tile_costs,
)
from compiler.mapping.size import Size
from compiler.netlist.kinds.spikes import signed_width
from compiler.netlist.model import (
    SLICE_BITS,
    Dense,
    Gather,
    Netlist,
    Network,
    Pattern,
    Placement,
    Population,
    Synapses,
)
from compiler.targets.target import Figure, Target, automatic, load, names
from las_neuro.errors import TargetError


class Excess(NamedTuple):
    """A need, the limit that it exceeds, and the remedy."""

    need: int
    limit: Figure
    remedy: str


def check_limits(net: Network[Any], target: Target) -> None:
    """Raise TargetError for the first limit exceeded; cores are checked if the net is placed."""
    for population in net.populations.values():
        for check in POPULATION:
            _raise(check(population, target), check, population.name, target)
    for group in net.synapses:
        _raise(weight_bits(group, target), weight_bits, group.target, target)
    if isinstance(net, Netlist) and net.placement is not None:
        for name, use in _core_uses(net, net.placement, target):
            for core_check in CORE:
                _raise(core_check(use, target), core_check, name, target)


def refusal(net: Network[Any], target: Target) -> str:
    """Why the target cannot run the net, whatever its size; empty if it can."""
    try:
        check_limits(net, target)
    except TargetError as error:
        return str(error)
    return ""


def _raise(
    excess: Excess | None, check: Callable[..., Excess | None], name: str, target: Target
) -> None:
    if excess is None:
        return
    unit = f" {excess.limit.unit}" if excess.limit.unit else ""
    raise TargetError(
        f"population {name} on {target.name}: {check.__doc__}: needs {excess.need:,}{unit}, "
        f"limit {excess.limit} [{excess.limit.source}]",
        excess.remedy,
    )


def _over(need: int, limit: Figure | None, remedy: str) -> Excess | None:
    if limit is None or need <= int(limit):
        return None
    return Excess(need, limit, remedy)


# Checks of one population or group.


def graded_payload(population: Population, target: Target) -> Excess | None:
    """spikes of this chip carry no value, but the population sends graded ones"""
    if not population.graded or target.graded:
        return None
    remedy = f"choose a target with graded spikes: {', '.join(_graded_names())}"
    return Excess(payload_width(population), target.word.payload_bits, remedy)


def payload_bits(population: Population, target: Target) -> Excess | None:
    """a spike's payload is wider than a message carries"""
    if not population.graded:
        return None
    remedy = "lower the population's limits, or use a coarser unit for it"
    return _over(payload_width(population), target.word.payload_bits, remedy)


def state_bits(population: Population, target: Target) -> Excess | None:
    """a state word is wider than the chip's"""
    widest = max((word.bits for word in population.does.state.values()), default=0)
    return _over(widest, target.word.state_bits, "use a kind with narrower state words")


def weight_bits(group: Synapses, target: Target) -> Excess | None:
    """a weight is wider than a synapse"""
    if isinstance(group.form, Pattern):
        need = signed_width(abs(group.form.weight))
    elif isinstance(group.form, Gather):
        need = signed_width(int(np.abs(group.form.weight.astype(np.int64)).max(initial=0)))
    elif isinstance(group.form, Dense):
        need = group.form.bits
    else:
        need = SLICE_BITS
    return _over(need, target.word.weight_bits, "split the weight over two synapse groups")


# Checks of one core.


def compartments(use: Use, target: Target) -> Excess | None:
    """more compartments than a core holds"""
    return _over(use.compartments, target.core.compartments, "run partition for this target")


def synapse_memory(use: Use, target: Target) -> Excess | None:
    """more synapse memory than a core has"""
    return _over(use.synapse_words, target.core.synapse_words, "run partition for this target")


def pool_memory(use: Use, target: Target) -> Excess | None:
    """synapses, input axons and axon map together pass a core's pool"""
    return _over(use.pool_words, target.core.pool_words, "run partition for this target")


def state_memory(use: Use, target: Target) -> Excess | None:
    """more neuron state and tables than a core has"""
    remedy = "run partition for this target, or use shorter tables"
    return _over(use.state_bytes, target.core.state_bytes, remedy)


def neuron_groups(use: Use, target: Target) -> Excess | None:
    """more neuron groups than a core has"""
    return _over(use.neuron_groups, target.core.neuron_groups, "run partition for this target")


def input_axons(use: Use, target: Target) -> Excess | None:
    """more input axons than a core has"""
    return _over(use.input_axons, target.core.input_axons, "run partition for this target")


POPULATION: tuple[Callable[[Population, Target], Excess | None], ...] = (
    graded_payload,
    payload_bits,
    state_bits,
)
CORE: tuple[Callable[[Use, Target], Excess | None], ...] = (
    compartments,
    synapse_memory,
    pool_memory,
    state_memory,
    neuron_groups,
    input_axons,
)


def payload_width(population: Population) -> int:
    """Bits of the largest payload, including its sign; 1 for binary spikes."""
    return population.does.spikes.payload_bits(population.params) if population.graded else 1


def _graded_names() -> list[str]:
    return [name for name in names() if load(name).graded]


def _core_uses(
    net: Network[Any], placement: Placement, target: Target
) -> Iterator[tuple[str, Use]]:
    """For each core in order, the population that uses most of it, and the core's use."""
    capacity = Capacity.of(net, target)
    uses: dict[int, Use] = {}
    largest: dict[int, tuple[float, str]] = {}

    def add(core: int, name: str, use: Use) -> None:
        uses[core] = uses.get(core, Use()).plus(use)
        largest[core] = max(largest.get(core, (-1.0, "")), (use.share(capacity.limit), name))

    costs = tile_costs(net)
    steps: dict[str, int] = {}
    heights: dict[tuple[str, int], int] = {}  # (population, core) -> compartments with lanes
    homes: set[tuple[str, int, int]] = set()  # population, first compartment, core
    for tile in placement.tiles:
        n, cost = tile.stop - tile.start, costs[tile.population]
        homes.add((tile.population, tile.start, tile.core))
        if cost.lanes > 1:
            key = tile.population, tile.core
            heights[key] = heights.get(key, 0) + n
            continue
        step = steps.setdefault(tile.population, n)
        add(tile.core, tile.population, cost.use(capacity, n, max(n, step)))
    for (name, core), n in heights.items():
        height = n // costs[name].lanes
        step = max(height, steps.setdefault(name, height))
        add(core, name, costs[name].use(capacity, height, step))
    together: dict[tuple[Any, ...], list[Synapses]] = {}
    for block in placement.blocks:
        group = net.synapses[block.group]
        bits = group.form.bits if isinstance(group.form, Dense) else 0
        ends = (group.source, group.target, group.port, bits)
        together.setdefault((block.rows, block.cols, block.core, *ends), []).append(group)
    for (rows, cols, core, *_), groups in together.items():
        name = groups[0].target
        lanes = lane_axes(net, net.populations[name])
        first, _ = compartments_of(net.populations[name].axes, lanes, *rows)[0]
        blocks = block_cost(net, groups[0], len(groups))
        use_of = blocks.use if (name, first, core) in homes else blocks.partial
        add(core, name, use_of(capacity, rows[1] - rows[0], cols[1] - cols[0]))
    for core in sorted(uses):
        yield largest[core][1], uses[core]


def fitting_target(net: Network[Any], name: str) -> Target:
    """The named target, or for "auto" the smallest that fits; TargetError where none does."""
    from compiler.mapping.partition import count
    from compiler.mapping.plan import narrowed

    target = load(automatic()[-1] if name == "auto" else name)
    size = count(net, target)
    narrow = count(narrowed(net), target) if size.cores > target.cores else None
    return choose_target(size, name, narrow)


def choose_target(size: Size, name: str, narrow: Size | None = None) -> Target:
    """The named target, or for "auto" the smallest Loihi 2 system with enough cores for `size`.

    narrow: size of the same net with 4-bit weights, for the error's advice.  Raises TargetError
    where no target is large enough.
    """
    if name != "auto":
        target = load(name)
        if size.cores <= target.cores:
            return target
        raise TargetError(too_small(size, target), advice(size, target, narrow))
    for candidate in automatic():
        if size.cores <= load(candidate).cores:
            return load(candidate)
    largest = load(automatic()[-1])
    raise TargetError(too_small(size, largest), advice(size, largest, narrow))


def too_small(size: Size, target: Target) -> str:
    """Text of an error: the cores needed, and how many systems that is."""
    systems = -(-size.cores // target.cores)
    return (
        f"needs {size.cores:,} cores, {target.name} has {target.cores:,}: {systems} systems "
        f"(weights alone {size.weight_cores:,} cores, written synapses {size.written_cores:,})"
    )


def advice(size: Size, target: Target, narrow: Size | None = None) -> str:
    """Text of a remedy: systems, weights or a context that would fit."""
    fitting = [name for name in automatic() if size.cores <= load(name).cores]
    largest = load(automatic()[-1])
    count = -(-size.cores // largest.cores)
    remedies = [f"use {fitting[0]}" if fitting else f"use {count} {largest.name} systems"]
    if narrow is not None and narrow.cores < size.cores:
        enough = [name for name in automatic() if narrow.cores <= load(name).cores]
        fewer = -(-narrow.cores // largest.cores)
        where = enough[0] if enough else f"{fewer} {largest.name} system{'s' * (fewer > 1)}"
        remedies.append(f"{narrow.weight_bits}-bit weights ({narrow.cores:,} cores) on {where}")
    if 4 * size.written_cores > size.cores:
        remedies.append(
            f"a shorter context: keys, values and what waits take {size.written_cores:,} cores"
        )
    return ", or ".join(remedies)

"""latency: the time of one token on a placed netlist, from the events that a run counted.

The model is that of compiler/mapping/latency.py.  Events are those of the run per token, spread
evenly over the steps at which their source may send; the events that arrive on one core in the same
step are added.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compiler.mapping.latency import latency
from compiler.netlist.model import Dense, Netlist, Placement
from compiler.targets import Target
from hwsim.backends.counters import Counters

MICRO = 1e-6
SOURCE = "peak core rates of {target}, no mesh contention"


@dataclass(frozen=True)
class StepTime:
    """Measured seconds per time step, and the source of the measurement."""

    seconds: float
    source: str


@dataclass(frozen=True)
class TokenTime:
    """Seconds per token, and how much of it each cause accounts for."""

    seconds: float
    source: str
    bounds: dict[str, float]


def measured(net: Netlist, placement: Placement, target: Target) -> TokenTime | None:
    """The time of a token at the rates measured on boards; None where nobody has measured any.

    Every compartment is updated in every step, silent ones too, so that the fullest core decides.
    """
    if target.time.measured_step_us is None or target.time.measured_update_ns is None:
        return None
    compartments = np.zeros(placement.cores, np.int64)
    for tile in placement.tiles:
        compartments[tile.core] += tile.stop - tile.start
    floor = float(target.time.measured_step_us) * MICRO
    updates = int(compartments.max()) * float(target.time.measured_update_ns) * 1e-9
    cause, step = max(("barrier", floor), ("updates", updates), key=lambda part: part[1])
    seconds = net.period * step
    source = f"{step / MICRO:,.1f} µs per step: update rates measured on Loihi 2, no core skips any"
    return TokenTime(seconds, source, {cause: seconds})


@dataclass(frozen=True)
class _Load:
    """Work of some cores in one step: `amounts` of events or updates, core by core."""

    cores: NDArray[np.int64]
    amounts: NDArray[np.float64]


def fixed(net: Netlist, step_time: StepTime) -> TokenTime:
    """Time per token where all steps take the same measured time."""
    seconds = net.period * step_time.seconds
    source = f"{step_time.seconds / MICRO:g} µs a step: {step_time.source}"
    return TokenTime(seconds, source, {"steps": seconds})


def estimate(net: Netlist, counters: Counters, placement: Placement, target: Target) -> TokenTime:
    """Time per token from the target's rates: that of each step's slowest part, summed."""
    events = _busiest_by_step(_arrivals(net, counters, placement))
    updates = _busiest_by_step(_updates(net, placement))
    of = latency(target, events, updates, len(_waits(net, placement)))
    bounds = {
        "barrier": of.barrier_us * MICRO,
        "synaptic events": of.events_us * MICRO,
        "updates": of.updates_us * MICRO,
        "partial sums": of.partial_sums_us * MICRO,
    }
    return TokenTime(sum(bounds.values()), SOURCE.format(target=target.title), bounds)


def _compartments(placement: Placement) -> dict[str, _Load]:
    """Compartments of each population by core."""
    tiles: dict[str, list[tuple[int, int]]] = {}
    for tile in placement.tiles:
        tiles.setdefault(tile.population, []).append((tile.core, tile.stop - tile.start))
    return {name: _load(pairs) for name, pairs in tiles.items()}


def _load(pairs: Iterable[tuple[int, float]]) -> _Load:
    cores, amounts = zip(*pairs, strict=True)
    return _Load(np.array(cores, np.int64), np.array(amounts, np.float64))


def _updates(net: Netlist, placement: Placement) -> list[list[_Load]]:
    """Compartments that each step updates, by core."""
    loads: list[list[_Load]] = [[] for _ in range(net.period)]
    for name, load in _compartments(placement).items():
        for step in net.populations[name].steps:
            loads[step].append(load)
    return loads


def _arrivals(net: Netlist, counters: Counters, placement: Placement) -> list[list[_Load]]:
    """Synaptic events of one token that arrive in each step, by core."""
    compartments, blocks = _compartments(placement), _blocks(net, counters, placement)
    loads: list[list[_Load]] = [[] for _ in range(net.period)]
    for index, group in enumerate(net.synapses):
        source = net.populations[group.source]
        sends = source.sends or source.steps
        whole = blocks.get(index)
        if whole is None and group.target in compartments:
            target = compartments[group.target]
            share = counters.events(net, group) / max(net.populations[group.target].n, 1)
            whole = _Load(target.cores, target.amounts * share)
        if whole is None or not sends:
            continue
        load = _Load(whole.cores, whole.amounts / (counters.tokens * len(sends)))
        for step in sends:
            loads[(step + 1) % net.period].append(load)
    return loads


def _blocks(net: Netlist, counters: Counters, placement: Placement) -> dict[int, _Load]:
    """Events of each group in blocks in the whole run, by the core of each of its blocks.

    Those of written weights are spread evenly over the blocks' synapses.
    """
    loads: dict[int, list[tuple[int, float]]] = {}
    totals: dict[str, NDArray[np.int64]] = {}
    for block in placement.blocks:
        group, (top, bottom), (left, right) = net.synapses[block.group], block.rows, block.cols
        if isinstance(group.form, Dense):
            if group.source not in totals:
                spikes = counters.populations[group.source].spikes
                totals[group.source] = np.concatenate(([0], np.cumsum(spikes)))
            upto = totals[group.source]
            events = (bottom - top) * float(upto[right] - upto[left])
        else:
            share = (bottom - top) * (right - left) / math.prod(net.block_shape(group))
            events = share * counters.events(net, group)
        loads.setdefault(block.group, []).append((block.core, events))
    return {index: _load(pairs) for index, pairs in loads.items()}


def _busiest_by_step(loads: list[list[_Load]]) -> NDArray[np.float64]:
    return np.array([_busiest(of_step) for of_step in loads], np.float64)


def _busiest(loads: list[_Load]) -> float:
    """The largest sum on one core."""
    if not loads:
        return 0.0
    cores = np.concatenate([load.cores for load in loads])
    amounts = np.concatenate([load.amounts for load in loads])
    return float(np.bincount(cores, amounts).max())


def _waits(net: Netlist, placement: Placement) -> set[int]:
    """First steps of populations that wait one more step for partial sums from another core."""
    cores = {name: load.cores for name, load in _compartments(placement).items()}
    waits = set()
    for block in placement.blocks:
        target = net.populations[net.synapses[block.group].target]
        if target.steps and target.name in cores and block.core not in cores[target.name]:
            waits.add(target.steps[0])
    return waits

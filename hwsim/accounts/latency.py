"""latency: the time of one token on a placed netlist, from the events that a run counted.

The model is compiler/mapping/latency.py's.  Events are those of the run, per token, spread evenly
over the steps in which their source may send; what one core gets in a step adds up.
"""

from __future__ import annotations

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
    """Seconds every time step takes, where somebody has measured it, and who says so."""

    seconds: float
    source: str


@dataclass(frozen=True)
class TokenTime:
    """Seconds a token, and the part of it in steps bound by each cause."""

    seconds: float
    source: str
    bounds: dict[str, float]


@dataclass(frozen=True)
class _Load:
    """What some cores have to do in a step."""

    cores: NDArray[np.int64]
    amounts: NDArray[np.float64]


def fixed(net: Netlist, step_time: StepTime) -> TokenTime:
    """All steps equally long."""
    seconds = net.period * step_time.seconds
    said = f"{step_time.seconds / MICRO:g} µs a step: {step_time.source}"
    return TokenTime(seconds, said, {"steps": seconds})


def estimate(net: Netlist, counters: Counters, placement: Placement, target: Target) -> TokenTime:
    """Each step by its slowest part, summed over one token's period."""
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


def _homes(placement: Placement) -> dict[str, _Load]:
    """Cores of each population, and its compartments on each."""
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
    for name, home in _homes(placement).items():
        for step in net.populations[name].steps:
            loads[step].append(home)
    return loads


def _arrivals(net: Netlist, counters: Counters, placement: Placement) -> list[list[_Load]]:
    """Synaptic events of one token that arrive in each step, by core."""
    homes, blocks = _homes(placement), _blocks(net, counters, placement)
    loads: list[list[_Load]] = [[] for _ in range(net.period)]
    for index, group in enumerate(net.synapses):
        source = net.populations[group.source]
        sends = source.sends or source.steps
        whole = blocks.get(index)
        if whole is None and group.target in homes:
            home = homes[group.target]
            share = counters.events(net, group) / max(net.populations[group.target].n, 1)
            whole = _Load(home.cores, home.amounts * share)
        if whole is None or not sends:
            continue
        load = _Load(whole.cores, whole.amounts / (counters.tokens * len(sends)))
        for step in sends:
            loads[(step + 1) % net.period].append(load)
    return loads


def _blocks(net: Netlist, counters: Counters, placement: Placement) -> dict[int, _Load]:
    """Events of each dense group in the whole run, by the core of each of its blocks."""
    loads: dict[int, list[tuple[int, float]]] = {}
    totals: dict[str, NDArray[np.int64]] = {}
    for block in placement.blocks:
        group = net.synapses[block.group]
        if not isinstance(group.form, Dense):
            continue
        if group.source not in totals:
            spikes = counters.populations[group.source].spikes
            totals[group.source] = np.concatenate(([0], np.cumsum(spikes)))
        upto, (first, last) = totals[group.source], block.rows
        arriving = float(upto[block.cols[1]] - upto[block.cols[0]])
        loads.setdefault(block.group, []).append((block.core, (last - first) * arriving))
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
    """First steps of populations that wait a step more for sums from another core."""
    homes = _homes(placement)
    waits = set()
    for block in placement.blocks:
        target = net.populations[net.synapses[block.group].target]
        if target.steps and target.name in homes and block.core not in homes[target.name].cores:
            waits.add(target.steps[0])
    return waits

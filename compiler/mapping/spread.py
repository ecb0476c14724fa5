"""spread: use idle cores of the chips that a netlist needs anyway, where steps become shorter.

A step lasts as long as its busiest core needs for its synaptic events.  Each trial lets
spikes reach fewer synapses on one core, which spreads the same maps over more cores; the layout
of the shortest expected latency wins, and of equal ones that of the fewest cores.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.mapping.footprint import expected_spikes, fan_in_of
from compiler.mapping.latency import Latency, latency
from compiler.mapping.partition import Layout, layout
from compiler.netlist.model import Network, Synapses
from compiler.netlist.wiring import Wiring
from compiler.targets.target import Target
from las_neuro.errors import TargetError

SMALLER = 0.8  # fan-in of a core from trial to trial
TRIALS = 24


def spread(net: Network[Any], target: Target, fewest: Layout) -> Layout:
    """The layout of least expected latency on as many chips; `fewest`: that of fewest cores."""
    per_chip = int(target.system.cores_per_chip)
    available = -(-fewest.cores // per_chip) * per_chip
    best, least = fewest, expected(net, fewest, target).total_us
    for trials in range(1, TRIALS + 1):
        try:
            trial = layout(net, target, int(fewest.capacity.limit.fan_in * SMALLER**trials))
        except TargetError:  # one compartment has more synapses
            break
        if trial.cores > available:
            break
        total = expected(net, trial, target).total_us
        if total < least:
            best, least = trial, total
    return best


def expected(net: Network[Any], cores: Layout, target: Target) -> Latency:
    """Latency from the most events and updates that one core has in each step of a token."""
    events, updates = np.zeros(net.period + 1), np.zeros(net.period + 1)
    wiring = Wiring(net)
    tile: dict[str, int] = {}
    waits: set[int] = set()  # first steps of populations that wait for partial sums
    for run in cores.runs:
        population = net.populations[run.population]
        if run.home:
            tile[run.population] = max(tile.get(run.population, 0), run.use.compartments)
        elif population.steps:
            waits.add(population.steps[0])
        if run.bundle is not None:
            group = net.synapses[run.bundle.groups[0]]
            height = min(run.rows, run.bundle.rows - run.row_parts[0] * run.rows)
            reached = run.bundle.cost.reached(height, min(run.cols, run.bundle.cols))
            _raise_to(events, wiring, group, reached)
    for name, rows in tile.items():
        at = np.asarray(net.populations[name].steps, np.int64)
        updates[at] = np.maximum(updates[at], rows)
    for group in net.synapses:
        if not net.in_blocks(group):
            _raise_to(events, wiring, group, tile[group.target] * fan_in_of(net, group))
    return latency(target, events[: net.period], updates[: net.period], len(waits))


def _raise_to(events: NDArray[np.float64], wiring: Wiring, group: Synapses, synapses: int) -> None:
    """Raise `events`, at the steps where a group's spikes arrive, to those of one core.

    synapses: of the group, on that core.
    """
    source = wiring.net.populations[group.source]
    if not source.sends:
        return
    rate = expected_spikes(wiring, source.name) / len(source.sends)
    at = np.minimum(np.asarray(source.sends, np.int64) + 1, len(events) - 1)
    events[at] = np.maximum(events[at], synapses * rate)

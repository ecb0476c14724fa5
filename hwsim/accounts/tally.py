"""Rows of the audit's tables: a run's counts by population, and summed by layer and by kind.

A synaptic event counts for the population that receives it, where its synapse is.  Counts have the
names of hwsim/energy/counts.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace

from compiler.netlist.model import Netlist, Population
from hwsim.backends.counters import Counters

OUTSIDE = "outside the layers"  # embeddings, final norm, read-out: Population.layer == -1


@dataclass(frozen=True)
class Tally:
    """Counts of one population or of several, summed over the run's tokens."""

    name: str
    populations: int = 0
    compartments: int = 0
    spikes: int = 0
    event_add: int = 0  # events of binary spikes: one addition each
    event_multiply: int = 0  # events of graded spikes: one multiplication and addition each
    synapse_write: int = 0  # one for each slice of a written number
    update_active: int = 0
    update_idle: int = 0
    state_read: int = 0  # words; this and the counts up to `lookup`: active updates x Kind.work
    state_write: int = 0
    add: int = 0
    multiply: int = 0
    compare: int = 0
    shift: int = 0
    lookup: int = 0
    clamps: int = 0
    wraps: int = 0

    @property
    def synaptic_event(self) -> int:
        return self.event_add + self.event_multiply

    def rate(self, tokens: int) -> float:
        """Firing rate: spikes per compartment and token."""
        return self.spikes / (self.compartments * tokens) if self.compartments else 0.0

    def counts(self) -> dict[str, int]:
        """Counts by the names that profiles price."""
        numbers = {field.name: getattr(self, field.name) for field in fields(self)[1:]}
        return {**numbers, "synaptic_event": self.synaptic_event}


def by_population(net: Netlist, counters: Counters) -> list[Tally]:
    """One row per population, in the netlist's order."""
    events: dict[str, list[int]] = {name: [0, 0] for name in net.populations}  # binary, graded
    writes = dict.fromkeys(net.populations, 0)
    for group in net.synapses:
        graded = net.populations[group.source].graded
        events[group.target][graded] += counters.events(net, group)
        writes[group.target] += counters.writes(net, group)
    return [
        _row(population, counters, events[name], writes[name])
        for name, population in net.populations.items()
    ]


def _row(population: Population, counters: Counters, events: list[int], writes: int) -> Tally:
    count = counters.populations[population.name]
    cost, updates = population.does.cost(population.params), count.updates
    return Tally(
        population.name,
        populations=1,
        compartments=population.n,
        spikes=int(count.spikes.sum()),
        event_add=events[False],
        event_multiply=events[True],
        synapse_write=writes,
        update_active=updates,
        update_idle=count.idle,
        state_read=updates * cost.state_reads,
        state_write=updates * cost.state_writes,
        add=updates * cost.adds,
        multiply=updates * cost.multiplies,
        compare=updates * cost.compares,
        shift=updates * cost.shifts,
        lookup=updates * cost.lookups,
        clamps=count.clamps,
        wraps=count.wraps,
    )


def total(name: str, rows: Iterable[Tally]) -> Tally:
    """The sum of rows under a new name."""
    result = Tally(name)
    for row in rows:
        numbers = {f.name: getattr(result, f.name) + getattr(row, f.name) for f in fields(row)[1:]}
        result = replace(result, **numbers)
    return result


def grouped(net: Netlist, rows: list[Tally], key: Callable[[Population], str]) -> list[Tally]:
    """Rows summed by `key`, in the order in which each key first occurs."""
    members: dict[str, list[Tally]] = {}
    for row in rows:
        members.setdefault(key(net.populations[row.name]), []).append(row)
    return [total(name, group) for name, group in members.items()]


def layer_name(population: Population) -> str:
    return OUTSIDE if population.layer < 0 else f"layer {population.layer}"

"""schedule: the static time table: when each population is updated and sends in a period.

Needs: lowered populations in topological order.  Leaves: `steps`, `sends`, phases, and the
parameters that depend on time.  A population starts when its first spike arrives (one step after it
was sent) and sends when its last one has; an encoder then sends for T steps; what comes early waits
in the receiver's state.  Pointers are timed so that a memory's enable arrives with its value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from compiler.lowering.network import LoweredNetwork, LoweredPopulation
from compiler.netlist.model import Synapses
from compiler.passes.contract import Pass
from compiler.task import Task

Steps = tuple[int, ...]


class Timetable:
    """Steps of the populations booked so far."""

    def __init__(self, net: LoweredNetwork) -> None:
        self.net = net
        self.begin = 0  # first step of the phase at hand
        self.steps: dict[str, Steps] = {}
        self.sends: dict[str, Steps] = {}
        self.into: dict[str, list[Synapses]] = {name: [] for name in net.populations}
        self.out_of: dict[str, list[Synapses]] = {name: [] for name in net.populations}
        for group in net.synapses:
            self.into[group.target].append(group)
            self.out_of[group.source].append(group)

    def book(self, name: str, steps: Steps, sends: Steps) -> None:
        self.steps[name], self.sends[name] = steps, sends

    def sends_of(self, name: str) -> Steps:
        """A memory answers in the step in which a digit reaches it."""
        if self.net.populations[name].kind == "memory":
            return self.arrivals(name, "read")
        return self.sends[name]

    def arrivals(self, name: str, port: str | None = None) -> Steps:
        """Steps at which spikes reach a population, on one port or all; feedback left out."""
        found = {
            t + 1
            for group in self.into[name]
            if not group.feedback and port in (None, group.port)
            for t in self.sends_of(group.source)
        }
        return tuple(sorted(found))

    def source(self, name: str, port: str) -> str:
        return next(group.source for group in self.into[name] if group.port == port)


def schedule(net: LoweredNetwork, task: Task) -> LoweredNetwork:
    """Book every population, phase after phase, in topological order."""
    table = Timetable(net)
    phase_of = {population.name: population.phase for population in net.populations.values()}
    phases: list[tuple[int, int]] = []
    for phase in range(max(phase_of.values()) + 1):
        for population in net.populations.values():
            if phase_of[population.name] == phase:
                RULES.get(population.kind, _collect)(table, population)
        end = max(t for steps in table.steps.values() for t in steps) + 2  # the last still arrives
        phases.append((table.begin, end))
        table.begin = end
    for name in net.populations:
        _settle(net, table, name)
    return replace(net, phases=tuple(phases))


def _settle(net: LoweredNetwork, table: Timetable, name: str) -> None:
    """Write the booking into the population."""
    population = net.populations[name]
    steps, sends = table.steps[name], table.sends_of(name)
    if population.kind == "memory":
        steps = tuple(sorted({*steps, *sends}))
    params = dict(population.params)
    if "arrivals" in population.does.params:
        params["arrivals"] = len(steps)
    if "early" in population.does.params:
        params["early"] = len(steps) - len(sends)
    net.update(name, steps=steps, sends=sends, params=params)


def _collect(table: Timetable, population: LoweredPopulation) -> None:
    """Wait for every input, then send once."""
    steps = table.arrivals(population.name)
    table.book(population.name, steps, steps[-1:])


def _input(table: Timetable, population: LoweredPopulation) -> None:
    table.book(population.name, (table.begin,), (table.begin,))


def _encode(table: Timetable, population: LoweredPopulation) -> None:
    """T steps, not before the memories it reads hold the token's own value."""
    arrival = start = table.arrivals(population.name)[-1]
    for group in table.out_of[population.name]:
        if group.port == "read":
            start = max(start, *table.steps[group.target])
    sends = tuple(range(start, start + population.params["steps"]))
    table.book(population.name, tuple(sorted({arrival, *sends})), sends)


def _integrate(table: Timetable, population: LoweredPopulation) -> None:
    """One step a digit; an enable must fall inside the window."""
    steps = table.arrivals(population.name, "a")
    outside = set(table.arrivals(population.name, "enable")) - set(steps)
    if outside:
        raise ValueError(f"{population.name}: enable at {outside}, window {steps[0]}..{steps[-1]}")
    table.book(population.name, steps, steps[-1:])


def _pointer(table: Timetable, population: LoweredPopulation) -> None:
    """With the phase, unless it times a read beside spikes (or a write: `_memory` moves it)."""
    start = table.begin
    for group in table.out_of[population.name]:
        if group.port == "read":
            for gate in table.out_of[group.target]:
                if gate.port == "enable":
                    keys = table.source(gate.target, "a")
                    start = table.sends[table.source(keys, "read")][0]
    table.book(population.name, (start,), (start,))


def _memory(table: Timetable, population: LoweredPopulation) -> None:
    """The pointer fires with the value, so that both arrive together."""
    value, writer = (table.source(population.name, port) for port in ("write", "enable"))
    if value != writer:
        table.book(writer, table.sends[value], table.sends[value])
    table.book(population.name, tuple(t + 1 for t in table.sends[writer]), ())


def _compete(table: Timetable, population: LoweredPopulation) -> None:
    """A bit every second step, the verdict between; the last step only takes a verdict."""
    start = table.arrivals(population.name, "x")[-1]
    steps = tuple(range(start, start + 2 * population.params["bits"] + 1, 2))
    table.book(population.name, steps, steps[:-1])


def _few_spikes(table: Timetable, population: LoweredPopulation) -> None:
    """K firings from the value's arrival on; the sum is sent with the last."""
    start = table.arrivals(population.name)[-1]
    steps = tuple(range(start, start + population.params["count"]))
    table.book(population.name, steps, steps[-1:])


def _any(table: Timetable, population: LoweredPopulation) -> None:
    steps = table.arrivals(population.name)
    table.book(population.name, steps, steps)


RULES: dict[str, Callable[[Timetable, LoweredPopulation], None]] = {
    "input": _input,
    "encode": _encode,
    "fire": _encode,
    "integrate": _integrate,
    "pointer": _pointer,
    "memory": _memory,
    "compete": _compete,
    "few_spikes": _few_spikes,
    "any": _any,
}

PASS = Pass(
    schedule,
    "lowered",
    "lowered",
    needs=("populations", "digits"),
    leaves=("steps",),
)

"""schedule: the static timetable: the time steps at which each population is updated and sends.

Needs: lowered populations in topological order.  Leaves: `steps`, `sends`, phases, and the
parameters that depend on time.  A population starts when its first spike arrives (one step after it
was sent) and sends when its last one has; an encoder then sends for T steps; what comes early waits
in the receiver's state.  Pointers send with the value that they write.
"""

from __future__ import annotations

from dataclasses import replace

from compiler.lowering.network import LoweredNetwork
from compiler.netlist.timetable import Timetable
from compiler.passes.contract import Pass
from compiler.task import Task


def schedule(net: LoweredNetwork, task: Task) -> LoweredNetwork:
    """Schedule every population by the timing of its kind, phase by phase, in topological order."""
    table = Timetable(net)
    phase_of = {population.name: population.phase for population in net.populations.values()}
    phases: list[tuple[int, int]] = []
    for phase in range(max(phase_of.values()) + 1):
        for population in net.populations.values():
            if phase_of[population.name] == phase:
                steps = population.does.timing.steps(table, population)
                table.assign(population.name, steps)
        end = (
            max(t for steps in table.steps.values() for t in steps) + 2
        )  # and the last spike arrives
        phases.append((table.begin, end))
        table.begin = end
    for name in net.populations:
        _settle(net, table, name)
    return replace(net, phases=tuple(phases))


def _settle(net: LoweredNetwork, table: Timetable, name: str) -> None:
    """Write the steps, and the parameters that count them, into the population."""
    population = net.populations[name]
    steps, sends = table.steps[name], table.sends[name]
    params = dict(population.params)
    if "arrivals" in population.does.params:
        params["arrivals"] = len(steps)
    if "early" in population.does.params:
        params["early"] = len(steps) - len(sends)
    net.update(name, steps=steps, sends=sends, params=params)


PASS = Pass(
    schedule,
    "lowered",
    "lowered",
    needs=("populations", "digits"),
    leaves=("steps",),
)

"""timetable: the steps chosen so far, while a netlist is being scheduled."""

from __future__ import annotations

from typing import Any

from compiler.netlist.kinds.timing import Steps
from compiler.netlist.model import Network, Population
from compiler.netlist.wiring import Wiring


class Timetable:
    """Updates and sends of the populations that the schedule has come to."""

    def __init__(self, net: Network[Any]) -> None:
        self.net = net
        self.wiring = Wiring(net)
        self.begin = 0  # first step of the phase at hand
        self.steps: dict[str, Steps] = {}
        self.sends: dict[str, Steps] = {}

    def assign(self, name: str, steps: Steps) -> None:
        """Update a population at these steps; its kind says which of them send."""
        population: Population = self.net.populations[name]
        self.steps[name] = steps
        self.sends[name] = population.does.timing.sends(steps, population.params)

    def arrivals(self, name: str, port: str | None = None) -> Steps:
        """Steps at which spikes reach a population, on one port or all; feedback left out."""
        steps = {
            t + 1
            for group in self.wiring.into(name, port)
            if not group.feedback
            for t in self.sends[group.source]
        }
        return tuple(sorted(steps))

"""timetable: the steps assigned so far while a netlist is being scheduled."""

from __future__ import annotations

from typing import Any

from compiler.netlist.kinds.timing import Steps
from compiler.netlist.model import Network, Population
from compiler.netlist.wiring import Wiring


class Timetable:
    """Steps and sends of the populations that are scheduled already."""

    def __init__(self, net: Network[Any]) -> None:
        self.net = net
        self.wiring = Wiring(net)
        self.begin = 0  # first step of the current phase
        self.steps: dict[str, Steps] = {}
        self.sends: dict[str, Steps] = {}

    def assign(self, name: str, steps: Steps) -> None:
        """Schedule a population at these steps; its kind decides at which of them it sends."""
        population: Population = self.net.populations[name]
        self.steps[name] = steps
        self.sends[name] = population.does.timing.sends(steps, population.params)

    def arrivals(self, name: str, port: str | None = None) -> Steps:
        """Steps at which spikes arrive at a population, at one port or all, without feedback."""
        steps = {
            t + 1
            for group in self.wiring.into(name, port)
            if not group.feedback
            for t in self.sends[group.source]
        }
        return tuple(sorted(steps))

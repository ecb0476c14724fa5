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
        sends = population.does.timing.sends
        self.steps[name] = steps
        self.sends[name] = () if sends is None else sends(steps, population.params)

    def sends_of(self, name: str) -> Steps:
        """Steps at which a population sends; a memory sends in the step in which it is read."""
        port = self.net.populations[name].does.recalled_by
        return self.arrivals(name, port) if port else self.sends[name]

    def arrivals(self, name: str, port: str | None = None) -> Steps:
        """Steps at which spikes arrive at a population, at one port or all, without feedback."""
        steps = {
            t + 1
            for group in self.wiring.into(name, port)
            if not group.feedback
            for t in self.sends_of(group.source)
        }
        return tuple(sorted(steps))

    def stores_read_by(self, name: str) -> list[str]:
        """Memories that a population's spikes read."""
        return [
            group.target
            for group in self.wiring.out_of(name)
            if group.port == self.net.populations[group.target].does.recalled_by
        ]

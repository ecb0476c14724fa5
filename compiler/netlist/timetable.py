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
        sends = population.does.timing.sends
        self.steps[name] = steps
        self.sends[name] = () if sends is None else sends(steps, population.params)

    def sends_of(self, name: str) -> Steps:
        """A store answers in the step in which a spike reaches it."""
        port = self.net.populations[name].does.recalled_by
        return self.arrivals(name, port) if port else self.sends[name]

    def arrivals(self, name: str, port: str | None = None) -> Steps:
        """Steps at which spikes reach a population, on one port or all; feedback left out."""
        steps = {
            t + 1
            for group in self.wiring.into(name, port)
            if not group.feedback
            for t in self.sends_of(group.source)
        }
        return tuple(sorted(steps))

    def stores_read_by(self, name: str) -> list[str]:
        """Stores of values that a population's spikes read."""
        return [
            group.target
            for group in self.wiring.out_of(name)
            if group.port == self.net.populations[group.target].does.recalled_by
        ]

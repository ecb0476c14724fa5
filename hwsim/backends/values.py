"""values: add up the spikes of a run to the values of their populations.

For backends that give spikes one by one.  A population of a role in `READ` sends its node's value:
the sum of its payloads for a token, each times 2**position of its code.
"""

from __future__ import annotations

import numpy as np

from compiler.netlist.model import Netlist, Population
from hwsim.backends.backend import Value
from las_neuro.integers import Ints

READ = ("value", "written")  # roles that send a node's value


def positions(population: Population) -> tuple[int, ...]:
    """For each step at which a population sends, the position of its spikes: 2**position units."""
    count = len(population.sends)
    return population.does.spikes.code(population.params, count).positions or (0,) * count


class ValueSums:
    """Sums of the spikes of one sequence, given to `on_value` once all its tokens have run."""

    def __init__(self, net: Netlist, on_value: Value) -> None:
        self.on_value = on_value
        self.populations = [p for p in net.populations.values() if p.role in READ]
        self.position = {
            (p.name, step): position
            for p in self.populations
            for step, position in zip(p.sends, positions(p), strict=True)
        }
        self.sums: dict[str, Ints] = {}
        self.start = 0

    def begin(self, start: int, count: int) -> None:
        """Start the sums of `count` tokens from `start` on."""
        self.start = start
        self.sums = {p.name: np.zeros((count, p.n), np.int64) for p in self.populations}

    def spike(self, name: str, token: int, step: int, payload: Ints) -> None:
        if name in self.sums:
            self.sums[name][token - self.start] += payload << self.position[name, step]

    def end(self) -> None:
        """Call `on_value` with the sums [1, count, *axes] of each population."""
        for population in self.populations:
            sums = self.sums[population.name]
            shape = (1, len(sums), *population.axes.values())
            self.on_value(population, sums.reshape(shape), self.start)

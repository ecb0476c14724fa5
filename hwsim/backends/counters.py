"""The counts of a run, the same from every engine.

Definitions, per population or synapse group and summed over all tokens of the run:
    spikes     messages sent, per compartment [n]; a graded spike counts once, silence not at all
    events     synaptic events: spikes times the synapses each reaches (of written ones, all slots)
    writes     synapses written, one for each slice of a number
    updates    compartment updates in time steps at which the population is scheduled
    idle       compartment updates in all other time steps of the period
    clamps     values cut to a limit
    wraps      sums that left 24 bits and did not come back
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.model import Netlist, Synapses, Written

SCALARS = ("updates", "idle", "clamps", "wraps")


@dataclass
class PopulationCount:
    """Counts of one population."""

    spikes: NDArray[np.int64]  # [n]
    updates: int = 0
    idle: int = 0
    clamps: int = 0
    wraps: int = 0


@dataclass
class Counters:
    """Counts of one run."""

    tokens: int = 0
    sequences: int = 0
    populations: dict[str, PopulationCount] = field(default_factory=dict)

    @staticmethod
    def of(net: Netlist) -> Counters:
        blank = {
            name: PopulationCount(np.zeros(population.n, np.int64))
            for name, population in net.populations.items()
        }
        return Counters(populations=blank)

    def add_tokens(self, net: Netlist, tokens: int, sequences: int) -> None:
        """Add the updates of `tokens` tokens, whose number follows from the schedule."""
        self.tokens += tokens
        self.sequences += sequences
        for name, population in net.populations.items():
            count = self.populations[name]
            count.updates += population.n * len(population.steps) * tokens
            count.idle += population.n * (net.period - len(population.steps)) * tokens

    def events(self, net: Netlist, group: Synapses) -> int:
        """Synaptic events of one group."""
        return int(self.populations[group.source].spikes @ net.fan_out(group))

    def writes(self, net: Netlist, group: Synapses) -> int:
        """Synapses written in one group: all slices of a slot in every token."""
        if not isinstance(group.form, Written):
            return 0
        return self.tokens * net.populations[group.form.value].n * group.form.slices

    def plus(self, other: Counters) -> Counters:
        """The counts of both runs together."""
        both = {
            name: PopulationCount(
                mine.spikes + theirs.spikes,
                *(getattr(mine, what) + getattr(theirs, what) for what in SCALARS),
            )
            for name, mine in self.populations.items()
            for theirs in [other.populations[name]]
        }
        return Counters(self.tokens + other.tokens, self.sequences + other.sequences, both)

    def equals(self, other: Counters) -> list[str]:
        """The counts that differ, as lines; empty if equal."""
        differences = []
        for name, mine in self.populations.items():
            theirs = other.populations[name]
            for what in SCALARS:
                if getattr(mine, what) != getattr(theirs, what):
                    differences.append(
                        f"{name}: {what} {getattr(mine, what)} != {getattr(theirs, what)}"
                    )
            wrong = np.flatnonzero(mine.spikes != theirs.spikes)
            if wrong.size:
                i = int(wrong[0])
                differences.append(
                    f"{name}[{i}]: {mine.spikes[i]} != {theirs.spikes[i]} spikes"
                    f" ({wrong.size} differ)"
                )
        return differences

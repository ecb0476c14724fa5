"""Traces hold every spike of a run, to find the first spike that differs between two engines.

A trace holds, per population, payloads [tokens, sends, n] of one sequence.  Its size is that of all
these arrays, so it is for short runs of small netlists.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np

from compiler.netlist.model import Netlist
from las_neuro.integers import Ints


@dataclass(frozen=True)
class Difference:
    """The first spike that differs: earliest phase, then earliest token, then earliest step.

    first, second: payloads in the two runs; 0 is silence.
    """

    population: str
    compartment: int
    token: int
    step: int
    first: int
    second: int

    def __str__(self) -> str:
        return (
            f"token {self.token}, step {self.step}: {self.population}[{self.compartment}]"
            f" sent {self.first} and {self.second}"
        )


@dataclass
class Trace:
    """Payloads of one run, collected by its callback `spike`."""

    net: Netlist
    payloads: dict[str, dict[tuple[int, int], Ints]] = field(default_factory=dict)

    def spike(self, name: str, token: int, step: int, payload: Ints) -> None:
        """Callback of a run: store a payload [n], unless all compartments are silent."""
        if payload.any():
            self.payloads.setdefault(name, {})[token, step] = payload.copy()

    @property
    def spikes(self) -> int:
        """Messages sent so far."""
        payloads = (payload for steps in self.payloads.values() for payload in steps.values())
        return sum(int(np.count_nonzero(payload)) for payload in payloads)


def first_difference(one: Trace, two: Trace) -> Difference | None:
    """The earliest spike that differs between two traces; None where all are equal.

    A phase runs over all tokens before the next phase starts.
    """
    starts = [first for first, _ in one.net.phases]

    def when(at: tuple[int, int]) -> tuple[int, int, int]:
        return bisect_right(starts, at[1]), *at

    differences: list[tuple[tuple[int, int], Difference]] = []
    for name in {*one.payloads, *two.payloads}:
        mine, theirs = one.payloads.get(name, {}), two.payloads.get(name, {})
        silent = np.zeros(one.net.populations[name].n, np.int64)
        for at in sorted({*mine, *theirs}, key=when):
            a, b = mine.get(at, silent), theirs.get(at, silent)
            if not np.array_equal(a, b):
                i = int(np.flatnonzero(a != b)[0])
                differences.append((at, Difference(name, i, *at, int(a[i]), int(b[i]))))
                break
    return (
        min(differences, key=lambda pair: (when(pair[0]), pair[1].population))[1]
        if differences
        else None
    )

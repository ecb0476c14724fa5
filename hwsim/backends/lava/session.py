"""session: a session of Lava's CPU runtime, which always counts everything.

Lava keeps no state between runs: every feed runs the sequence from its start and returns the
outputs of the new tokens.
"""

from __future__ import annotations

import numpy as np

from compiler.netlist.model import Netlist
from hwsim.backends.backend import Spike, Value
from hwsim.backends.counters import Counters
from hwsim.backends.lava.runtime import run
from hwsim.backends.values import ValueSums
from las_neuro.integers import Ints
from las_neuro.rows import Rows


class LavaSession:
    """A `hwsim.backends.backend.Session`."""

    def __init__(
        self, net: Netlist, on_spike: Spike | None, on_value: Value | None, timeout: float
    ) -> None:
        self.net, self.timeout = net, timeout
        self.sums = None if on_value is None else ValueSums(net, on_value)
        self.listeners = [on_spike] if on_spike else []
        self.listeners += [self.sums.spike] if self.sums else []
        self.earlier = self.counters = Counters.of(net)  # earlier: of all finished sequences
        self.sequence: Rows | None = None

    def reset(self) -> None:
        self.earlier, self.sequence = self.counters, None

    def feed(self, rows: Rows) -> Ints:
        (fresh,) = rows
        start = 0 if self.sequence is None else len(self.sequence)
        whole = fresh if self.sequence is None else np.concatenate([self.sequence, fresh])
        if self.sums:
            self.sums.begin(start, len(fresh))

        def spike(name: str, token: int, step: int, payload: Ints) -> None:
            if token >= start:
                for listener in self.listeners:
                    listener(name, token, step, payload)

        on_spike = spike if self.listeners else None
        result = run(self.net, whole, on_spike=on_spike, timeout=self.timeout)
        self.sequence, self.counters = whole, self.earlier.plus(result.counters)
        if self.sums:
            self.sums.end()
        return result.payloads[None, start:]

"""session: a session of the reference engine, which always counts everything."""

from __future__ import annotations

from compiler.netlist.model import Netlist
from hwsim.backends.backend import Spike, Value
from hwsim.backends.counters import Counters
from hwsim.backends.step.stepper import Stepper
from hwsim.backends.values import ValueSums
from las_neuro.integers import Ints
from las_neuro.rows import Rows


class StepSession:
    """A `hwsim.backends.backend.Session`."""

    def __init__(self, net: Netlist, on_spike: Spike | None, on_value: Value | None) -> None:
        self.sums = None if on_value is None else ValueSums(net, on_value)
        listeners = [on_spike] if on_spike else []
        listeners += [self.sums.spike] if self.sums else []

        def notify(name: str, token: int, step: int, payload: Ints) -> None:
            for listener in listeners:
                listener(name, token, step, payload)

        self.engine = Stepper(net, notify if listeners else None)

    @property
    def counters(self) -> Counters:
        return self.engine.counters

    def reset(self) -> None:
        self.engine.reset()

    def feed(self, rows: Rows) -> Ints:
        (sequence,) = rows
        if self.sums:
            self.sums.begin(self.engine.tokens, len(sequence))
        payloads = self.engine.run(sequence)
        if self.sums:
            self.sums.end()
        return payloads[None]

"""The reference engine as a backend: one time step after the other, one sequence at a time."""

from __future__ import annotations

from compiler.netlist.model import Netlist
from hwsim.backends.backend import RUN_SECONDS, Limits, Session, Spike, Value
from hwsim.backends.step.session import StepSession

__all__ = ["BACKEND"]


class Step:
    """Integers and numpy alone."""

    name = "step"
    description = "by time steps"
    limits = Limits(batches=False, pieces=True, timed=False)

    def check(self) -> None:
        """It runs wherever las_neuro does."""

    def open(
        self,
        net: Netlist,
        *,
        count: bool = False,
        on_spike: Spike | None = None,
        on_value: Value | None = None,
        timeout: float = RUN_SECONDS,
    ) -> Session:
        return StepSession(net, on_spike, on_value)


BACKEND = Step()

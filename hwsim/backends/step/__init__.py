"""The backend `step`, the reference engine: time step by time step, one sequence at a time."""

from __future__ import annotations

from compiler.netlist.model import Netlist
from hwsim.backends.backend import RUN_SECONDS, Limits, Session, Spike, Value
from hwsim.backends.step.session import StepSession

__all__ = ["BACKEND"]


class Step:
    """Runs netlists with numpy integers only."""

    name = "step"
    description = "by time steps"
    limits = Limits(batches=False, pieces=True, timed=False)

    def check(self) -> None:
        """Does nothing: this backend runs on every machine."""

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

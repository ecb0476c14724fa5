"""The backend `fast`: whole windows, all tokens at once, several sequences in a batch."""

from __future__ import annotations

from compiler.netlist.model import Netlist
from hwsim.backends.backend import RUN_SECONDS, Limits, Session, Spike, Value

__all__ = ["BACKEND"]


class Fast:
    """Runs netlists with torch, which is slow to import: only `open` imports it."""

    name = "fast"
    description = "by windows"
    limits = Limits(batches=True, pieces=True, timed=False)

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
        from hwsim.backends.fast.session import FastSession

        return FastSession(net, count, on_spike, on_value)


BACKEND = Fast()

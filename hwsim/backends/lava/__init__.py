"""The backend `lava`, Lava's CPU simulator: the same spikes, from an independent runtime.

Importing this package needs no Lava.  Lava (lava-nc 0.10.0) is slow, about 0.2 ms per process and
time step, so it serves to verify short runs, not to measure models.
"""

from __future__ import annotations

from compiler.netlist.model import Netlist
from hwsim.backends.backend import RUN_SECONDS, Limits, Session, Spike, Value
from hwsim.backends.lava.runtime import check_installed
from hwsim.backends.lava.session import LavaSession

__all__ = ["BACKEND"]


class Lava:
    """Runs netlists in Lava, in one process group per run; every feed runs the whole sequence."""

    name = "lava"
    description = "Lava's CPU runtime"
    limits = Limits(batches=False, pieces=False, timed=True)

    def check(self) -> None:
        check_installed()

    def open(
        self,
        net: Netlist,
        *,
        count: bool = False,
        on_spike: Spike | None = None,
        on_value: Value | None = None,
        timeout: float = RUN_SECONDS,
    ) -> Session:
        return LavaSession(net, on_spike, on_value, timeout)


BACKEND = Lava()

"""hwsim: from a netlist to what it says and what that costs.

    import hwsim
    print(hwsim.run("tiny_lm.h5", prompt="The statement").text)
    print(hwsim.audit("tiny_lm.h5", "eval.txt").to_dict()["total"]["spikes"])

Importing this package reads no torch: only the engines do.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.generate import Generation, run
    from hwsim.measure.account import audit

__all__ = ["Generation", "audit", "run"]

HOMES = {
    "run": "hwsim.generate",
    "Generation": "hwsim.generate",
    "audit": "hwsim.measure.account",
}


def __getattr__(name: str) -> Any:
    """Read what is asked for when it is asked for."""
    if name in HOMES:
        return getattr(import_module(HOMES[name]), name)
    raise AttributeError(f"module 'hwsim' has no attribute {name!r}")

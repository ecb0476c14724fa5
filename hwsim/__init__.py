"""hwsim: from a netlist to what it says and what that costs.

    import hwsim
    print(hwsim.run("tiny_lm.h5", prompt="Once upon a time").text)

`hwsim.audit` is the package that accounts for a run: `hwsim.audit.audit(net, counters)`.
Importing this package reads no torch: only the engines do.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim import audit
    from hwsim.generate import Generation, run

__all__ = ["Generation", "audit", "run"]

HOMES = {"run": "hwsim.generate", "Generation": "hwsim.generate"}


def __getattr__(name: str) -> Any:
    """Read what is asked for when it is asked for."""
    if name in HOMES:
        return getattr(import_module(HOMES[name]), name)
    if name == "audit":
        return import_module("hwsim.audit")
    raise AttributeError(f"module 'hwsim' has no attribute {name!r}")

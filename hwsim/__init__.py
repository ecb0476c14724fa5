"""hwsim: run a netlist, and measure its accuracy and what a run costs on the chip.

    import hwsim
    print(hwsim.run("tiny_lm.h5", prompt="The statement").text)
    print(hwsim.audit("tiny_lm.h5", "eval.txt").to_dict()["total"]["spikes"])

Importing this package does not import torch: only the engines do.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.generate import Generation, run
    from hwsim.measure.account import audit

__all__ = ["Generation", "audit", "run"]

MODULES = {
    "run": "hwsim.generate",
    "Generation": "hwsim.generate",
    "audit": "hwsim.measure.account",
}


def __getattr__(name: str) -> Any:
    """Import a name's module when the name is first used."""
    if name in MODULES:
        return getattr(import_module(MODULES[name]), name)
    raise AttributeError(f"module 'hwsim' has no attribute {name!r}")

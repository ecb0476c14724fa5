"""The compartment kinds by name, one for every module of this folder that declares a KIND."""

import pkgutil
from importlib import import_module

from compiler.netlist.kinds.kind import (
    Cost,
    Kind,
    Loop,
    Outcome,
    Port,
    State,
    WindowOutcome,
    Word,
    fold,
)
from compiler.netlist.kinds.params import Param, Params

MODULES = [
    import_module(f"{__name__}.{name}")
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__))
]
KINDS: dict[str, Kind] = {
    module.KIND.name: module.KIND for module in MODULES if hasattr(module, "KIND")
}

__all__ = [
    "KINDS",
    "Cost",
    "Kind",
    "Loop",
    "Outcome",
    "Param",
    "Params",
    "Port",
    "State",
    "WindowOutcome",
    "Word",
    "fold",
]

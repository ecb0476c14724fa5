"""Published methods that make a model graph spiking; one file each, named as users type it.

A file of this folder that defines `SYSTEM` is a system; nothing else lists it.  SYSTEM is a
dataclass of its own options: `find("sdllm", {"steps": 15})`.  It offers
`spiking(model, checkpoint) -> Graph` (structure, a graph of level "spiking") and
`threshold(graph) -> Graph`, which turns calibrated ranges into the spike code of each encoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Protocol, cast

from las_neuro.checkpoint import Checkpoint
from las_neuro.errors import ConfigError
from las_neuro.graph import Graph


class System(Protocol):
    """What a system's class provides; its docstring describes the system in three lines."""

    @property
    def steps(self) -> int | None:
        """Time steps per value; None: as many as the checkpoint's neurons were trained with."""

    def spiking(self, model: Graph, checkpoint: Checkpoint | None = None) -> Graph: ...

    def threshold(self, graph: Graph) -> Graph: ...


def find(name: str, options: Mapping[str, Any] | None = None) -> System:
    """The system of that name with these options; raises `ConfigError` if one is wrong."""
    from pydantic import TypeAdapter, ValidationError

    try:
        system = TypeAdapter(system_class(name)).validate_python(dict(options or {}))
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"]) or "options"
        raise ConfigError(
            f"system {name}, {key} = {fault['input']!r:.60}: {fault['msg']}",
            "las-compile --list-systems shows its options",
        ) from error
    return cast(System, system)


@cache
def names() -> tuple[str, ...]:
    """Every system of this folder, sorted."""
    files = sorted(file.name for file in iter_modules(__path__))
    return tuple(name for name in files if hasattr(_module(name), "SYSTEM"))


def system_class(name: str) -> type[Any]:
    """The class of a system; raises `ConfigError` for a name that is no system of this folder."""
    if name not in names():
        raise ConfigError(f"system {name!r} is not known", f"use one of {', '.join(names())}")
    system: type[Any] = _module(name).SYSTEM
    return system


def _module(name: str) -> Any:
    return import_module(f"{__name__}.{name}")

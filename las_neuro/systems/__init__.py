"""Published methods that make a model graph spiking; one file each, listed by the name users type.

A system is a dataclass of its own options: `find("sdllm", {"steps": 15})`.  It offers
`spiking(model, checkpoint) -> Graph` (structure, SPIKING_OPS) and `threshold(graph) -> Graph`,
which turns calibrated ranges into the spike code of each encoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol, cast

from las_neuro.checkpoint import Checkpoint
from las_neuro.errors import ConfigError
from las_neuro.graph import Graph

SYSTEMS = {
    "las": "Las",
    "fas": "Fas",
    "spikellm": "SpikeLlm",
    "sdllm": "SdLlm",
    "spikelm": "SpikeLm",
    "phase": "Phase",
}


class System(Protocol):
    """What a class of this folder provides; its docstring says in three lines what it is."""

    @property
    def steps(self) -> int | None:
        """Time steps a value; None: as many as the checkpoint's neurons were trained with."""

    def spiking(self, model: Graph, checkpoint: Checkpoint | None = None) -> Graph: ...

    def threshold(self, graph: Graph) -> Graph: ...


def find(name: str, options: Mapping[str, Any] | None = None) -> System:
    """The system of that name with its own options, checked."""
    from pydantic import TypeAdapter, ValidationError

    try:
        made = TypeAdapter(kind(name)).validate_python(dict(options or {}))
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"]) or "options"
        raise ConfigError(
            f"system {name}, {key} = {fault['input']!r:.60}: {fault['msg']}",
            "las-compile --list-systems shows its options",
        ) from error
    return cast(System, made)


def kind(name: str) -> type[Any]:
    """The class of a system."""
    if name not in SYSTEMS:
        raise ConfigError(f"system {name!r} is not known", f"use one of {', '.join(SYSTEMS)}")
    found: type[Any] = getattr(import_module(f"{__name__}.{name}"), SYSTEMS[name])
    return found

"""Published methods that make a model graph spiking; one file each, listed by the name users type.

A system is a dataclass of its own options: `find("sdllm", {"clip": 15})`.  It offers
`spiking(model, folder) -> Graph` (structure, SPIKING_OPS) and `threshold(graph, steps, form,
ranges, channel_steps)`, which turns calibrated ranges into the spike code of each encoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from las_neuro.errors import ConfigError
from las_neuro.graph import Graph

SYSTEMS = {
    "las": "Las",
    "fas": "Fas",
    "spikellm": "SpikeLlm",
    "sdllm": "SdLlm",
    "phase": "Phase",
}
UNBUILT = {"spikelm": "its neurons carry state from one pass of the whole network to the next"}


class System(Protocol):
    """What a class of this folder provides; its docstring says in three lines what it is."""

    steps: int  # time steps a value, where the user asks for none

    def spiking(self, model: Graph, folder: Path | None = None) -> Graph: ...

    def threshold(
        self,
        graph: Graph,
        steps: int,
        form: str = "binary",
        ranges: int = 2,
        channel_steps: bool = False,
    ) -> Graph: ...


def find(name: str, options: Mapping[str, Any] | None = None) -> System:
    """The system of that name with its own options, checked."""
    from pydantic import TypeAdapter, ValidationError

    try:
        made = TypeAdapter(kind(name)).validate_python(dict(options or {}))
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"]) or "options"
        raise ConfigError(
            f"system {name}, {key}: {fault['msg']}", "las-compile --list-systems shows its options"
        ) from error
    return cast(System, made)


def kind(name: str) -> type[Any]:
    """The class of a system."""
    if name in UNBUILT:
        raise ConfigError(
            f"system {name!r} is not built: {UNBUILT[name]}", f"use one of {', '.join(SYSTEMS)}"
        )
    if name not in SYSTEMS:
        raise ConfigError(f"system {name!r} is not known", f"use one of {', '.join(SYSTEMS)}")
    found: type[Any] = getattr(import_module(f"{__name__}.{name}"), SYSTEMS[name])
    return found

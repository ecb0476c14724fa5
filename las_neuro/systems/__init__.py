"""Published methods that make a model graph spiking; one file each, listed by the name users type.

A system offers `spiking(model) -> Graph` (structure, SPIKING_OPS) and `threshold(graph, steps,
form, ranges, channel_steps)`, which turns calibrated ranges into the spike code of each encoder.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from las_neuro.errors import ConfigError
from las_neuro.graph import Graph

SYSTEMS = {"las": "las"}


class System(Protocol):
    """What a file of this folder provides."""

    def spiking(self, model: Graph) -> Graph: ...

    def threshold(
        self,
        graph: Graph,
        steps: int,
        form: str = "binary",
        ranges: int = 2,
        channel_steps: bool = False,
    ) -> Graph: ...


def find(name: str) -> System:
    if name not in SYSTEMS:
        raise ConfigError(f"system {name!r} is not known", f"use one of {', '.join(SYSTEMS)}")
    return cast(System, import_module(f"{__name__}.{SYSTEMS[name]}"))

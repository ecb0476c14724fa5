"""list_systems: text of `las-compile --list-systems`, with each system's options and paper."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

from compiler.options import LAS
from las_neuro.systems import names, system_class


def systems() -> str:
    """Name, description, paper and options with their defaults, for each system."""
    parts = []
    for name in names():
        system = system_class(name)
        lines = [
            " ".join(part.split()) for part in inspect.cleandoc(system.__doc__ or "").split("\n\n")
        ]
        own = ", ".join(
            f"{field.name}={_plain(field.default)}"
            for field in fields(system)
            if field.name not in ("steps", *LAS)
        )
        steps = system.steps or "as trained"
        parts.append(
            f"{name}\n  {lines[0]}\n  {lines[1]}\n  --steps {steps}; options: {own or 'none'}"
        )
    return "\n".join(parts)


def _plain(default: Any) -> Any:
    """A field's default value, without the limits that pydantic keeps with it."""
    return getattr(default, "default", default)

"""Model families: `draw` turns a checkpoint into a graph of level "model".

A family is one file with `Config` (the fields it reads from config.json), `build`, and MODEL_TYPES,
the values of config.json's `model_type` that it draws.  No other file lists the families.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from las_neuro.architectures.family import check_config
from las_neuro.checkpoint import Checkpoint
from las_neuro.errors import ConfigError, UnsupportedError
from las_neuro.graph import MODEL, Graph, verify


@cache
def families() -> dict[str, Any]:
    """model_type -> the module of this folder that draws it, sorted by model_type."""
    modules = [import_module(f"{__name__}.{file.name}") for file in iter_modules(__path__)]
    by_type = {name: module for module in modules for name in getattr(module, "MODEL_TYPES", ())}
    return dict(sorted(by_type.items()))


def draw(checkpoint: Checkpoint, context: int | None = None) -> Graph:
    """The model graph for sequences of at most `context` tokens (default: the model's longest).

    Raises `ConfigError` or `UnsupportedError`, naming config.json and the field at fault.
    """
    path = checkpoint.config_path
    model_type = checkpoint.config.get("model_type")
    if not isinstance(model_type, str):
        raise ConfigError(f"{path}: no model_type", f"set it to one of {', '.join(families())}")
    if model_type not in families():
        raise UnsupportedError(
            f"{path}: model_type {model_type!r} is not supported",
            f"use one of {', '.join(families())}, or add las_neuro/architectures/{model_type}.py",
        )
    family = families()[model_type]
    config = check_config(family.Config, checkpoint)
    longest = config.longest
    if context is not None and not 1 <= context <= longest:
        raise ConfigError(
            f"context {context} is outside 1 to {longest} ({path})",
            "choose a context in that range",
        )
    try:
        graph: Graph = family.build(config, checkpoint, context or longest)
    except (ConfigError, UnsupportedError) as error:  # the family does not know the file's name
        raise type(error)(f"{path}: {error.what}", error.remedy) from error
    verify(graph, MODEL)
    return graph

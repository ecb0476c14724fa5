"""The backends, one folder each; a folder that exports `BACKEND` is one.

Importing this imports neither a backend nor what it needs (torch, Lava); `find` does.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING

from las_neuro.errors import ConfigError

if TYPE_CHECKING:
    from hwsim.backends.backend import Backend

DEFAULT = "fast"


def names() -> tuple[str, ...]:
    """The folders' names, the default first."""
    folders = {module.name for module in pkgutil.iter_modules(__path__) if module.ispkg}
    return (DEFAULT, *sorted(folders - {DEFAULT}))


def load(name: str) -> Backend:
    """A backend by name; raises `ConfigError` where there is none of that name."""
    if name not in names():
        raise ConfigError(f"unknown backend {name!r}", f"choose one of {', '.join(names())}")
    backend: Backend = import_module(f"{__name__}.{name}").BACKEND
    return backend


def find(name: str) -> Backend:
    """The same; raises `BackendError` where it cannot run on this machine."""
    backend = load(name)
    backend.check()
    return backend

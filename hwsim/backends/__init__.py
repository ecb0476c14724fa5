"""The backends, one folder each: every folder here that exports `BACKEND`.

Importing this package imports no backend and nothing that one needs (torch, Lava); `find` does.
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
    """Names of the backends (their folders), the default first."""
    folders = {module.name for module in pkgutil.iter_modules(__path__) if module.ispkg}
    return (DEFAULT, *sorted(folders - {DEFAULT}))


def load(name: str) -> Backend:
    """A backend by name; raises `ConfigError` for an unknown name."""
    if name not in names():
        raise ConfigError(f"unknown backend {name!r}", f"choose one of {', '.join(names())}")
    backend: Backend = import_module(f"{__name__}.{name}").BACKEND
    return backend


def find(name: str) -> Backend:
    """A backend by name that can run here.

    Raises `ConfigError` for an unknown name, `BackendError` where this machine cannot run it.
    """
    backend = load(name)
    backend.check()
    return backend

"""Progress: the callback by which a long computation reports how far it has come."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]  # stage, units done, units in all


def silent(stage: str, done: int, of: int) -> None:
    """A `Progress` that reports nothing."""

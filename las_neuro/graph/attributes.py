"""Declarations of operators' attributes and weights: their names, types and meanings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

Level = Literal["model", "spiking", "phased"]
MODEL: Final = "model"  # a Transformer's own operators
SPIKING: Final = "spiking"  # what a published method turns them into
PHASED: Final = "phased"  # the same, split into phases: the graph that is lowered
LEVELS: tuple[Level, ...] = (MODEL, SPIKING, PHASED)

REQUIRED: Final = object()  # instead of a default: the attribute must be set


@dataclass(frozen=True)
class Type:
    """A set of values: its name in messages, and whether a value belongs to it."""

    name: str
    holds: Callable[[Any], bool]


@dataclass(frozen=True)
class Attribute:
    """One attribute of an operator.

    default: the value where a node does not set it; if it is None, a node may set None, too.
    since: the first level of a graph at which nodes may set it.
    by: the level from which every node must have set it, if that is later than its construction.
    """

    type: Type
    meaning: str
    default: Any = REQUIRED
    since: Level = MODEL
    by: Level | None = None

    def allows(self, value: Any) -> bool:
        return (value is None and self.default is None) or self.type.holds(value)


@dataclass(frozen=True)
class Weight:
    """One weight of an operator; meaning: its shape."""

    meaning: str
    required: bool = True


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_real(value: Any) -> bool:
    return _is_integer(value) or isinstance(value, float | np.floating)


def _is_vector(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "iuf"


def _is_signs(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and set(value) <= {1, -1}


INTEGER = Type("an integer", _is_integer)
REAL = Type("a number", _is_real)
BOOLEAN = Type("true or false", lambda value: isinstance(value, bool))
VECTOR = Type("a numpy array of one dimension", _is_vector)
SIGNS = Type("a tuple of 1 and -1", _is_signs)
AXIS = Type("the name of an axis", lambda value: isinstance(value, str))


def one_of(words: Iterable[str]) -> Type:
    allowed = sorted(words)
    return Type(f"one of {', '.join(allowed)}", lambda value: value in allowed)


def instance_of(*classes: str) -> Type:
    """Instances by class name, because the graph cannot import modules that import the graph."""
    return Type(f"a {' or a '.join(classes)}", lambda value: type(value).__name__ in classes)


def tuple_of(name: str) -> Type:
    one = instance_of(name)

    def holds(value: Any) -> bool:
        return isinstance(value, tuple) and bool(value) and all(map(one.holds, value))

    return Type(f"a tuple of {name}", holds)

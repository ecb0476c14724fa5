"""A node of a graph, and what it holds: weights that stay on disk, ranges from calibration.

A node maps named feature axes to named feature axes; the token axis is implicit and comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from las_neuro.graph.attributes import REQUIRED
from las_neuro.graph.ops import OPS, Op

Floats = NDArray[np.float32]
Axes = dict[str, int]  # axis name -> size, in memory order, e.g. {"h": 8, "d": 64}

SLOTS = "j"  # the axis that counts the tokens a memory holds


@dataclass(frozen=True)
class Tensor:
    """A weight that stays on disk until `load` is called; `load` gives float32 [shape]."""

    name: str
    shape: tuple[int, ...]
    load: Callable[[], Floats] = field(repr=False, compare=False)

    @staticmethod
    def of(name: str, array: Floats) -> Tensor:
        """A small computed constant (cosines, folded gains), held in memory."""
        constant = np.ascontiguousarray(array, dtype=np.float32)
        return Tensor(name, constant.shape, lambda: constant)


@dataclass(frozen=True)
class Range:
    """What calibration measured of one value: largest |x|, its 0.999 quantile, smallest |x|."""

    peak: float
    q999: float
    least: float
    channel_peak: Floats | None = None  # largest |x| of each channel [n], for encoders
    sample: Floats | None = None  # values of some tokens [tokens, n], for encoders and memories


@dataclass(frozen=True)
class Node:
    """One operator: `name = op(inputs)` with output `axes` (token axis left out).

    attributes: those that this node sets; `node["planes"]` reads one, or its declared default.
    Raises `ValueError` (a bug) if operands, attributes or weights are not as `ops.OPS` declares.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    axes: Axes
    attributes: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    layer: int = -1  # -1: before the first block; used for progress and streaming
    range: Range | None = None
    repetition: int = 0  # which of the network's copies side by side it belongs to
    original: str = ""  # the node whose value this one carries on to a later phase; "" for none

    def __post_init__(self) -> None:
        if self.op not in OPS:
            raise ValueError(f"node {self.name}: there is no operator {self.op!r}")
        declared = OPS[self.op]
        few = len(self.inputs) < len(declared.operands)
        if few or (len(self.inputs) > len(declared.operands) and not declared.many):
            raise self._fault(f"has {len(self.inputs)} operands", _operands(declared))
        for name, value in self.attributes.items():
            attribute = declared.attributes.get(name)
            if attribute is None:
                raise self._fault(f"sets {name!r}", _names(declared.attributes))
            if not attribute.allows(value):
                raise self._fault(f"sets {name} to {value!r:.60}", attribute.type.name)
        for name, attribute in declared.attributes.items():
            if attribute.default is REQUIRED and not attribute.by and name not in self.attributes:
                raise self._fault(f"does not set {name!r}", attribute.type.name)
        required = {name for name, weight in declared.weights.items() if weight.required}
        if not required <= set(self.weights) <= set(declared.weights):
            raise self._fault(f"has weights {_names(self.weights)}", _names(declared.weights))

    def _fault(self, what: str, declared: str) -> ValueError:
        return ValueError(f"node {self.name}: {self.op} {what}; declared: {declared}")

    def __getitem__(self, name: str) -> Any:
        """An attribute's value, or its default; `ValueError` if it is undeclared or not set."""
        if name in self.attributes:
            return self.attributes[name]
        attribute = OPS[self.op].attributes.get(name)
        if attribute is None:
            raise self._fault(f"is asked for {name!r}", _names(OPS[self.op].attributes))
        if attribute.default is REQUIRED:
            raise self._fault(f"is asked for {name!r} before it is set", attribute.type.name)
        return attribute.default

    def with_attributes(self, **attributes: Any) -> Node:
        """The same node with these attributes set."""
        return replace(self, attributes={**self.attributes, **attributes})

    @property
    def size(self) -> int:
        return int(np.prod(list(self.axes.values()), dtype=np.int64))

    def describe(self) -> str:
        """One line: the name first, so that two dumps diff well."""
        axes = " ".join(f"{axis}={size}" for axis, size in self.axes.items())
        shapes = "".join(f" {key}{list(t.shape)}" for key, t in self.weights.items())
        plain = {k: v for k, v in self.attributes.items() if not isinstance(v, np.ndarray)}
        attributes = "".join(f" {key}={value}" for key, value in plain.items())
        return f"{self.name}  {self.op}({', '.join(self.inputs)})  [{axes}]{shapes}{attributes}"


def _operands(op: Op) -> str:
    return f"({', '.join(op.operands)}{', ...' if op.many else ''})"


def _names(declared: Mapping[str, Any]) -> str:
    return ", ".join(sorted(declared)) or "none"

"""depth_error: the errors of a run relative to a reference, one row per node, and their summary.

    carried  ||value - reference|| / ||reference - its mean||: the error of all nodes up to here
    added    the same with the reference computed from the run's own inputs to this node: the error
             of this operator alone; only known where the reference is a float model

Of a node with one value per token or head the mean is not subtracted: its values hardly vary, so
the reference's norm is the divisor.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Tensor = Any  # torch's; torch is not imported, so that pages can be written without it

CONSTANT = 1e-9  # share of its square that a value's variance must exceed
BUDGET = 1e-2


@dataclass
class NodeError:
    """Errors of one node, as running sums over all values compared."""

    node: str
    layer: int
    op: str
    single: bool  # one value per token or head
    values: int = 0
    clamps: int = 0
    wraps: int = 0
    largest: float = 0.0  # |value - reference|
    knows_added: bool = False
    error: float = 0.0  # sum of squares of value - reference
    fresh: float = 0.0  # sum of squares of the error added by this node
    total: float = 0.0  # sum of the reference
    squares: float = 0.0  # sum of squares of the reference

    def add(self, value: Tensor, reference: Tensor, fresh: Tensor | None, mask: Tensor) -> None:
        """Add values and their reference, all [B, S, *axes].

        fresh: the error added by this node, if known.  mask: which values count.
        """
        if not bool(mask.all()):
            value, reference = value[mask], reference[mask]
            fresh = None if fresh is None else fresh[mask]
        wide = reference.double()
        difference = value.double() - wide
        self.values += wide.numel()
        self.total += float(wide.sum())
        self.squares += float(wide.square().sum())
        self.error += float(difference.square().sum())
        if difference.numel():
            self.largest = max(self.largest, float(difference.abs().max()))
        if fresh is not None:
            self.knows_added = True
            self.fresh += float(fresh.double().square().sum())

    @property
    def size(self) -> float:
        """Divisor of the errors: norm of the reference, less its mean unless the node is single."""
        spread = self.squares - self.total**2 / max(self.values, 1)
        constant = self.single or spread <= CONSTANT * self.squares
        return math.sqrt(self.squares if constant else spread)

    @property
    def carried(self) -> float:
        return self._relative(self.error)

    @property
    def added(self) -> float | None:
        return self._relative(self.fresh) if self.knows_added else None

    def _relative(self, squares: float) -> float:
        if squares == 0.0:
            return 0.0
        return math.sqrt(squares) / self.size if self.size else math.inf

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; null for a figure that is unknown or infinite."""
        return {
            "node": self.node,
            "layer": self.layer,
            "operator": self.op,
            "carried": _finite(self.carried),
            "added": _finite(self.added),
            "largest_absolute": _finite(self.largest),
            "values": self.values,
            "clamps": self.clamps,
            "wraps": self.wraps,
        }


@dataclass(frozen=True)
class Group:
    """The nodes of one layer and operator, in one row."""

    layer: str
    op: str
    nodes: int
    carried: NodeError  # the node with the largest carried error
    added: NodeError | None  # the node with the largest added error, if known
    largest: float
    clamps: int
    wraps: int


@dataclass
class DepthComparison:
    """The errors of one run (`second`) relative to its reference (`first`)."""

    first: str
    second: str
    tokens: int
    sequences: int
    rows: list[NodeError]
    budget: float = BUDGET
    same: bool = False  # both are one netlist, whose runs must not differ at all
    spikes: dict[str, Any] | None = None  # of two netlists: comparison of their spikes

    def __post_init__(self) -> None:
        """Sort by depth: tables that all layers read come first."""
        self.rows = sorted(self.rows, key=lambda row: row.layer)

    @property
    def over(self) -> NodeError | None:
        """The first node, in depth order, whose carried error exceeds the budget."""
        return first_over(self.rows, self.budget)

    @property
    def worst(self) -> NodeError:
        return max(self.rows, key=lambda row: row.carried)

    @property
    def source(self) -> NodeError | None:
        """The node with the largest added error; None where added errors are unknown."""
        known = [row for row in self.rows if row.added is not None]
        return max(known, key=lambda row: row.added or 0.0) if known else None

    @property
    def differ(self) -> bool:
        return any(row.error for row in self.rows) or bool((self.spikes or {}).get("difference"))

    @property
    def groups(self) -> list[Group]:
        """Groups by layer and operator, in the order in which each first occurs."""
        by_group: dict[tuple[str, str], list[NodeError]] = {}
        for row in self.rows:
            by_group.setdefault((layer_name(row.layer), row.op), []).append(row)
        return [_group(layer, op, rows) for (layer, op), rows in by_group.items()]

    def to_dict(self) -> dict[str, Any]:
        over = self.over
        return {
            "first": self.first,
            "second": self.second,
            "tokens": self.tokens,
            "sequences": self.sequences,
            "budget": self.budget,
            "first_over_budget": over.node if over else None,
            "same_netlist": self.same,
            "spikes": self.spikes,
            "nodes": [row.to_dict() for row in self.rows],
        }


def first_over(rows: Iterable[NodeError], budget: float) -> NodeError | None:
    return next((row for row in rows if row.carried > budget), None)


def layer_name(layer: int) -> str:
    """Name of a layer: its number, or "before" for nodes before the first layer."""
    return "before" if layer < 0 else str(layer)


def _group(layer: str, op: str, rows: list[NodeError]) -> Group:
    known = [row for row in rows if row.added is not None]
    return Group(
        layer,
        op,
        len(rows),
        max(rows, key=lambda row: row.carried),
        max(known, key=lambda row: row.added or 0.0) if known else None,
        max(row.largest for row in rows),
        sum(row.clamps for row in rows),
        sum(row.wraps for row in rows),
    )


def _finite(x: float | None) -> float | None:
    return x if x is not None and math.isfinite(x) else None

"""depth_error: the errors of one run beside another, a row a node, and what they say together.

    carried  ||mine - reference|| / ||reference - its mean||: all that went wrong up to here
    added    the same with the reference computed from the run's own inputs to this node: what this
             operator did wrong by itself; only known beside a float model

A node with one value a token or head has no spread to speak of: there the reference's norm divides.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Tensor = Any  # torch's; this file also serves those who only read the figures

CONSTANT = 1e-9  # share of its square that a value's variance must exceed
BUDGET = 1e-2


@dataclass
class NodeError:
    """One node: running sums over all values compared."""

    node: str
    layer: int
    op: str
    single: bool  # one value a token or head
    values: int = 0
    clamps: int = 0
    wraps: int = 0
    largest: float = 0.0  # |mine - reference|
    knows_added: bool = False
    error: float = 0.0  # sum of squares, as are the next and `squares`
    fresh: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    def add(self, mine: Tensor, reference: Tensor, fresh: Tensor | None, seen: Tensor) -> None:
        """All [B, S, *axes]; `seen`: which values count."""
        if not bool(seen.all()):
            mine, reference = mine[seen], reference[seen]
            fresh = None if fresh is None else fresh[seen]
        wide = reference.double()
        difference = mine.double() - wide
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
        """What an error is measured by."""
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
        """Plain values; null where there is none, or where it is infinite."""
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
    """The nodes of one layer and operator, in one line."""

    layer: str
    op: str
    nodes: int
    carried: NodeError  # the one with the largest carried error
    added: NodeError | None
    largest: float
    clamps: int
    wraps: int


@dataclass
class DepthComparison:
    """One run (`second`) beside its reference (`first`)."""

    first: str
    second: str
    tokens: int
    sequences: int
    rows: list[NodeError]
    budget: float = BUDGET
    same: bool = False  # one netlist twice: it may not differ at all
    spikes: dict[str, Any] | None = None  # of two netlists: how their spikes compare

    def __post_init__(self) -> None:
        """Depth order: tables that all layers read come before the first that draws them."""
        self.rows = sorted(self.rows, key=lambda row: row.layer)

    @property
    def over(self) -> NodeError | None:
        """The first node, in depth order, whose carried error leaves the budget."""
        return first_over(self.rows, self.budget)

    @property
    def worst(self) -> NodeError:
        return max(self.rows, key=lambda row: row.carried)

    @property
    def source(self) -> NodeError | None:
        """The node that added most."""
        known = [row for row in self.rows if row.added is not None]
        return max(known, key=lambda row: row.added or 0.0) if known else None

    @property
    def differ(self) -> bool:
        return any(row.error for row in self.rows) or bool((self.spikes or {}).get("difference"))

    @property
    def groups(self) -> list[Group]:
        """By layer and operator, each where it first comes."""
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
    """Blocks by number; what follows the last block counts as one more."""
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

"""Packing: first-fit assignment of pieces to cores, many equal pieces at once.

Pieces come in runs of equal shape, in schedule order, and consecutive cores with equal free
capacity form a `Span`.  A run is assigned span by span, not piece by piece, so the time depends on
the few thousand runs of a model, not on its up to a million cores; the result is that of first-fit
piece by piece.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from compiler.mapping.footprint import Use

WINDOW = 64  # spans that stay open, so that a piece does not go to a core of a far earlier layer


class CoreRange(NamedTuple):
    """Pieces on consecutive cores from `first` on, `per_core` on each."""

    first: int
    pieces: int
    per_core: int


@dataclass
class Span:
    """Consecutive cores with the same free capacity."""

    first: int
    cores: int
    free: Use


@dataclass
class Packing:
    """Cores in use so far; `limit`: capacity of an empty core; `open`: spans with free capacity.

    most: pieces of a run on one core; with 1, maps that are busy at the same time are on different
    cores, and cores stay open for all layers.
    """

    limit: Use
    most: int | None = None
    cores: int = 0
    open: list[Span] = field(default_factory=list)

    def lay(self, use: Use, pieces: int) -> list[CoreRange]:
        """Assign a run of equal pieces to cores; one piece must fit an empty core."""
        ranges: list[CoreRange] = []
        spans: list[Span] = []
        for span in self.open:
            fit = self._fit(use, span.free) if pieces else 0
            if not fit:
                spans.append(span)
                continue
            count = min(pieces, fit * span.cores)
            ranges.append(CoreRange(span.first, count, fit))
            spans += _after(span, use, count, fit)
            pieces -= count
        if pieces:
            fit = self._fit(use, self.limit)
            assert fit, "a piece larger than a core: partition must refuse it first"
            span = Span(self.cores, -(-pieces // fit), self.limit)
            ranges.append(CoreRange(span.first, pieces, fit))
            spans += _after(span, use, pieces, fit)
            self.cores += span.cores
        spans = [s for s in spans if s.free.neuron_groups and s.free.compartments]
        self.open = spans[-WINDOW:] if self.most is None else spans
        return ranges

    def _fit(self, use: Use, free: Use) -> int:
        """How many pieces of this use may share a core with this free capacity."""
        fit = min(has // need for need, has in zip(use, free, strict=True) if need)
        return fit if self.most is None else min(fit, self.most)


def _after(span: Span, use: Use, pieces: int, per_core: int) -> list[Span]:
    """The span split into cores with `per_core` pieces, one core with the rest, unused cores."""
    full, rest = divmod(pieces, per_core)
    spans = []
    at = span.first
    for cores, count in ((full, per_core), (1 if rest else 0, rest)):
        if cores:
            left = Use(*(has - count * need for need, has in zip(use, span.free, strict=True)))
            spans.append(Span(at, cores, left))
            at += cores
    if at < span.first + span.cores:
        spans.append(Span(at, span.first + span.cores - at, span.free))
    return spans

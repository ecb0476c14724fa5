"""Packing: pieces of one shape go to cores first-fit, many at once by arithmetic.

Pieces come in runs of equal shape, in schedule order, and cores that were filled alike stay one
`Span` of consecutive numbers.  A run is laid on spans, not piece by piece, so a model of a million
cores packs in the time of its few thousand runs; the result is that of first-fit piece by piece.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from compiler.mapping.footprint import Use

WINDOW = 64  # spans that stay open: a late piece does not land on a core of an early layer


class Laid(NamedTuple):
    """Pieces laid on consecutive cores from `first` on, `per_core` on each."""

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
    """Cores opened so far."""

    limit: Use
    cores: int = 0
    open: list[Span] = field(default_factory=list)

    def lay(self, use: Use, pieces: int) -> list[Laid]:
        """Lay a run of equal pieces; one must fit an empty core."""
        laid: list[Laid] = []
        spans: list[Span] = []
        for span in self.open:
            fit = _fit(use, span.free) if pieces else 0
            if not fit:
                spans.append(span)
                continue
            taken = min(pieces, fit * span.cores)
            laid.append(Laid(span.first, taken, fit))
            spans += _after(span, use, taken, fit)
            pieces -= taken
        if pieces:
            fit = _fit(use, self.limit)
            assert fit, "a piece larger than a core: partition must refuse it first"
            span = Span(self.cores, -(-pieces // fit), self.limit)
            laid.append(Laid(span.first, pieces, fit))
            spans += _after(span, use, pieces, fit)
            self.cores += span.cores
        self.open = [s for s in spans if s.free.neuron_groups and s.free.compartments][-WINDOW:]
        return laid


def _fit(use: Use, free: Use) -> int:
    """How many such pieces fit."""
    return min(has // need for need, has in zip(use, free, strict=True) if need)


def _after(span: Span, use: Use, pieces: int, per_core: int) -> list[Span]:
    """The span split in cores with `per_core` pieces, one with the rest, and those untouched."""
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

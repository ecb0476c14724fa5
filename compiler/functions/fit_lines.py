"""fit_lines: the integer lines nearest to a curve, computed as the compartment kinds compute them.

A curve is divided into equal segments of 2**width inputs; at part = 0, 1, ... of a segment its line
is base + round(slope * part / 2**shift).

Input: the curve at some parts of every segment, in units of the line's last place.  Output: the
base and slope of each segment that minimise the largest error, and that error.  The best real line
has errors of equal size and alternating sign at both ends and at one point between (Chebyshev;
Remez 1934 finds the point; on a convex piece the slope is that of the chord).  Its integer
neighbours are then compared, rounding included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from las_neuro.integers import WORD_LIMIT, Ints, shift_right

Floats = NDArray[np.float64]

SLOPE_LIMIT = 2**17 - 1
MOST_SHIFT = 31
EVERY_PART = 64  # segments up to this length are fitted on all integers, longer ones on a sample
EXCHANGES = 3  # of Remez's algorithm; the inner point moves little after the first
NEIGHBOURS = (0, -1, 1)


@dataclass(frozen=True)
class Curve:
    """The curve that lines are fitted to: n segments, each sampled at m parts."""

    value: Floats  # [n, m], in last places of the line
    part: Ints  # [m], from 0 to the last part of a segment
    weight: Floats  # [n, m], of an error: 1, or 1 / value for relative errors
    bend: Floats  # [n], how far the weighted error between two parts can exceed those at them

    @property
    def whole(self) -> bool:
        """Whether every integer of a segment is sampled."""
        return len(self.part) == int(self.part[-1]) + 1

    @property
    def length(self) -> int:
        return int(self.part[-1]) + 1


@dataclass(frozen=True)
class Lines:
    """The lines of a table: value = base + round(slope * part / 2**shift)."""

    base: Ints  # [n]
    slope: Ints  # [n]
    shift: int

    def last(self, length: int) -> Ints:
        """Each line at the last part of its segment."""
        return np.asarray(self.base + shift_right(self.slope * (length - 1), self.shift))


def parts(width: int) -> Ints:
    """The sampled parts of a segment of 2**width integers: all, or a sample with both ends."""
    if 1 << width <= EVERY_PART:
        return np.arange(1 << width)
    return np.linspace(0, (1 << width) - 1, EVERY_PART + 1).round().astype(np.int64)


def fit_lines(curve: Curve, steepest: float = 0.0) -> Lines:
    """The best integer lines; all slopes share a shift at which a slope `steepest` fits too."""
    base, slope = _minimax(curve)
    shift = slope_shift(max(steepest, float(np.abs(slope).max())))
    scaled = slope * 2.0**shift
    rises = curve.value[:, -1] - curve.value[:, 0]
    best = Lines(np.zeros(len(base), np.int64), np.zeros(len(base), np.int64), shift)
    least = np.full(len(base), np.inf)
    for more in NEIGHBOURS:
        tilted = np.rint(scaled).clip(-SLOPE_LIMIT, SLOPE_LIMIT) + more
        # A line is tilted about its middle; a slope against the curve's direction is excluded.
        level = np.rint(base + (slope - tilted / 2.0**shift) * (curve.length - 1) / 2)
        allowed = (tilted * rises >= 0) & (np.abs(tilted) <= SLOPE_LIMIT)
        for up in NEIGHBOURS:
            lines = Lines((level + up).astype(np.int64), tilted.astype(np.int64), shift)
            error = np.where(allowed, line_errors(lines, curve).max(axis=1), np.inf)
            better = error < least
            least = np.where(better, error, least)
            best = replace(
                best,
                base=np.where(better, lines.base, best.base),
                slope=np.where(better, lines.slope, best.slope),
            )
    return best


def slope_shift(steepest: float) -> int:
    """The largest shift at which a slope and its neighbour still fit their word."""
    if steepest == 0.0:
        return 0
    spare_bits = math.log2((SLOPE_LIMIT - 1) / steepest)
    return min(max(math.floor(spare_bits), 0), MOST_SHIFT)


def line_errors(lines: Lines, curve: Curve) -> Floats:
    """Weighted errors [n, m]: exact if every integer is sampled, otherwise without rounding."""
    rise = lines.slope[:, None] * curve.part
    line = shift_right(rise, lines.shift) if curve.whole else rise / 2.0**lines.shift
    return np.asarray(np.abs(lines.base[:, None] + line - curve.value) * curve.weight)


def largest_errors(lines: Lines, curve: Curve) -> tuple[Floats, Ints]:
    """Bounds on the weighted error of any input, by line [n]; the parts with the largest error."""
    errors = line_errors(lines, curve)
    at = errors.argmax(axis=1)
    largest = errors[np.arange(len(at)), at]
    if not curve.whole:  # rounding adds up to half a last place; other parts were not sampled
        largest = largest + 0.5 * curve.weight.max(axis=1) + curve.bend
    return largest, curve.part[at]


def _minimax(curve: Curve) -> tuple[Floats, Floats]:
    """Base and slope [n] of the real lines: error e at both ends, -e at the worst part between."""
    value, part, allowance = curve.value, curve.part, 1 / curve.weight
    first, last = value[:, 0], value[:, -1]
    if len(part) == 1:
        return first, np.zeros_like(first)
    if len(part) == 2:
        return first, last - first
    rows, middle = np.arange(len(value)), np.full(len(value), len(part) // 2)
    for _ in range(EXCHANGES):
        share = part[middle] / part[-1]
        ends = allowance[:, 0] + share * (allowance[:, -1] - allowance[:, 0])
        off = value[rows, middle] - first - share * (last - first)
        e = off / (ends + allowance[rows, middle])
        base = first + e * allowance[:, 0]
        slope = (last + e * allowance[:, -1] - base) / part[-1]
        error = (base[:, None] + slope[:, None] * part - value) * curve.weight
        middle = 1 + (-np.sign(e)[:, None] * error)[:, 1:-1].argmax(axis=1)
    return base, slope


def join(lines: Lines, length: int, following: int | None = None, *, keep: bool = False) -> Lines:
    """Make the lines monotonic where they join: a rising line never starts below its predecessor.

    A line that ends too far is tilted to meet the next, so no error exceeds its neighbour's.
    length: of a segment.  following: the curve's value after the last line.  keep: do not tilt the
    first line.
    """
    bases = lines.base.tolist() + ([] if following is None else [following])
    slope = np.append(lines.slope, lines.slope[-1:])[: len(bases)]
    directions = np.sign(slope[:-1] + slope[1:]) * (slope[:-1] * slope[1:] >= 0)
    if keep:
        bases[1] = _ordered(bases[1], int(lines.last(length)[0]), int(directions[0]))
    for i, direction in enumerate(directions.tolist()):
        bases[i + 1] = _ordered(bases[i + 1], bases[i], direction)
    base = np.array(bases, np.int64)
    rise, last = np.diff(base) << lines.shift, max(length - 1, 1)
    half = (1 << lines.shift) >> 1
    # The slopes at which base + shift_right(slope * last, shift) just reaches the next base.
    steepest = (rise + (1 << lines.shift) - half - 1) // last
    deepest = -((half - rise) // last)
    tilted = slope[:-1].copy()
    tilted = np.where(directions > 0, np.minimum(tilted, steepest), tilted)
    tilted = np.where(directions < 0, np.maximum(tilted, deepest), tilted)
    tilted = np.append(tilted, slope[len(tilted) :])[: len(lines.base)]
    if keep:
        tilted[0] = lines.slope[0]
    return Lines(base[: len(lines.base)], tilted, lines.shift)


def _ordered(base: int, previous: int, direction: int) -> int:
    if direction == 0:
        return base
    return max(base, previous) if direction > 0 else min(base, previous)


def in_words(lines: Lines) -> Lines:
    """The lines with bases limited to a word's range."""
    return replace(lines, base=lines.base.clip(-WORD_LIMIT, WORD_LIMIT))

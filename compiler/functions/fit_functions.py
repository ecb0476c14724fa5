"""fit_functions: scalar functions as tables of `segment`, `octave`, `antilog`, with error bounds.

LAS's HG neurons (arXiv 2505.09659) split a function's domain and fit each piece.  Here each piece
is a line with integer base and slope.  Every fit takes an error budget and returns the fewest lines
that keep it: segments of one width 2**k, or 2**k lines per octave.  The error stated with a table
holds for every 24-bit input.  Fits are cached while the program runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.functions.fit_lines import (
    SLOPE_LIMIT,
    Curve,
    Floats,
    Lines,
    fit_lines,
    in_words,
    join,
    largest_errors,
    parts,
)
from compiler.netlist.kinds.octave import FRACTION_BITS
from las_neuro.integers import WORD_LIMIT, Ints

# Finer tables change no measured perplexity: each budget is below an error from another source.
SEGMENT_BUDGET = 16.0  # last places: 2**-16 of the largest calibrated output, like 16 digits
OCTAVE_BUDGET = 1.25e-4  # relative; int8 weights have errors of 4e-4
ANTILOG_BUDGET = 1.25e-4  # relative; scores are rounded to 2**-12 of an octave
MOST_SEGMENTS = 1024
MOST_LINES_LOG2 = 9  # per octave: 2**9 lines have a relative error of 5e-7, like the word
LINE_BITS = 23  # of the values on an octave's lines
CACHED_FITS = 512

_erf = np.vectorize(math.erf, otypes=[float])


def _logistic(x: Floats) -> Floats:
    return np.asarray(0.5 + 0.5 * np.tanh(x / 2))  # exp would overflow


def _gelu(x: Floats) -> Floats:
    return np.asarray(0.5 * x * (1 + _erf(x / math.sqrt(2))))


def _gelu_tanh(x: Floats) -> Floats:
    return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))


@dataclass(frozen=True)
class Bounded:
    """A function that differs from its two asymptotes only near 0."""

    f: Callable[[Floats], Floats]
    bend: float  # largest |f''|
    left: tuple[float, float]  # slope and offset of the asymptote
    right: tuple[float, float]


TAIL_STEP, TAIL_END = 1 / 64, 64.0  # the |x| at which functions are compared with asymptotes

FLAT, EQUAL = (0.0, 0.0), (1.0, 0.0)
BOUNDED: dict[str, Bounded] = {
    "gelu": Bounded(_gelu, 0.7979, FLAT, EQUAL),
    "gelu_tanh": Bounded(_gelu_tanh, 0.7979, FLAT, EQUAL),
    "quick_gelu": Bounded(lambda x: x * _logistic(1.702 * x), 0.8511, FLAT, EQUAL),
    "silu": Bounded(lambda x: x * _logistic(x), 0.5001, FLAT, EQUAL),
    "logistic": Bounded(_logistic, 0.0963, FLAT, (0.0, 1.0)),
    "tanh": Bounded(lambda x: np.asarray(np.tanh(x)), 0.7699, (0.0, -1.0), (0.0, 1.0)),
}


@dataclass(frozen=True)
class Fit:
    """A table and its largest error.

    `segment`: |payload - f(x) / unit_out| <= error, in units of the last place, for every x.
    `octave`, `antilog`: the error is relative and does not count the payload's rounding, so
    |payload - f| <= error * f + 1/2 with f in units of the last place.  Saturated payloads are
    compared with the saturated function.  at: where the error is that large; for `segment` an x,
    for `octave` an x in the two octaves below 2**23, for `antilog` a distance below the reference.
    """

    table: Mapping[str, Any]  # parameters of the population
    error: float
    at: int

    @property
    def lines(self) -> int:
        return len(self.table["base"])


@lru_cache(CACHED_FITS)
def segment_fit(fn: str, unit_in: float, unit_out: float, budget: float = SEGMENT_BUDGET) -> Fit:
    """y = fn(x) with an error of at most `budget` last places; otherwise the finest table.

    unit_in, unit_out: units of x and y.  A smaller budget adds lines only between the asymptotes.
    If the ratio of the units is not a power of two, the rounded slope of an asymptote adds an error
    of some last places at the ends of the word's range.
    """
    scale = Scale(BOUNDED[fn], unit_in, unit_out)
    left, right = (_edge(scale, side, budget) for side in (-1, 1))
    pieces = _partition(left, right, (left + right).bit_length())
    fit, inside = _segments(scale, pieces)
    while pieces.width and inside > budget:
        pieces = _partition(left, right, pieces.width - 1)
        if pieces.lines > MOST_SEGMENTS:
            break
        fit, inside = _segments(scale, pieces)
    return fit


@dataclass(frozen=True)
class Scale:
    """A function between integers: x in units of the input, f(x) in units of the output."""

    function: Bounded
    unit_in: float
    unit_out: float

    def f(self, x: Ints) -> Floats:
        return self._saturated(self.function.f(x * self.unit_in))

    def asymptote(self, x: NDArray[Any], side: int) -> Floats:
        slope, offset = self.function.left if side < 0 else self.function.right
        return self._saturated(slope * (x * self.unit_in) + offset)

    def slope(self, side: int) -> float:
        """Slope of an asymptote, in last places per step of x."""
        slope = (self.function.left if side < 0 else self.function.right)[0]
        return slope * self.unit_in / self.unit_out

    def _saturated(self, y: Floats) -> Floats:
        return np.asarray((y / self.unit_out).clip(-WORD_LIMIT, WORD_LIMIT))


def _edge(scale: Scale, side: int, budget: float) -> int:
    """The smallest |x| beyond which distance to the asymptote and rounding keep `budget`."""
    tails = _tails(scale.function, side) / scale.unit_out
    steps = int(np.count_nonzero(tails > max(budget - 1.0, budget / 4)))
    edge: int = math.ceil(min(steps * TAIL_STEP / scale.unit_in, WORD_LIMIT))
    return max(1, edge)


@lru_cache(CACHED_FITS)
def _tails(function: Bounded, side: int) -> Floats:
    """Entry i: largest distance to an asymptote for |x| >= i * TAIL_STEP."""
    slope, offset = function.left if side < 0 else function.right
    x = side * np.arange(0, TAIL_END, TAIL_STEP)
    distance = np.abs(function.f(x) - (slope * x + offset))
    return np.asarray(np.maximum.accumulate(distance[::-1])[::-1])


@dataclass(frozen=True)
class Partition:
    """`count` segments of 2**width inputs from `start`; below, above: whether asymptotes follow."""

    start: int
    count: int
    width: int
    below: bool
    above: bool

    @property
    def lines(self) -> int:
        return self.below + self.count + self.above


def _partition(left: int, right: int, width: int) -> Partition:
    """Segments from -left to right; on a side where the word's range ends first, no asymptote."""
    below = left + (1 << width) <= WORD_LIMIT
    start = -left if below else -WORD_LIMIT
    count = -((start - right) >> width)
    return Partition(start, count, width, below, start + (count << width) <= WORD_LIMIT)


def _segments(scale: Scale, pieces: Partition) -> tuple[Fit, float]:
    """The table of a partition, and the largest error of its lines between the asymptotes."""
    start, count, width, below = pieces.start, pieces.count, pieces.width, pieces.below
    part = parts(width)
    x = start + (np.arange(count) << width)[:, None] + part  # [count, m]
    curve = _curve(scale, x, part)
    inner = fit_lines(curve, steepest=max(abs(scale.slope(side)) for side in (-1, 1)))
    origin = start - (below << width)
    beyond = start + (count << width)
    above = beyond if pieces.above else None
    table = _with_asymptotes(scale, inner, origin if below else None, above)
    table = in_words(join(table, 1 << width, keep=below))
    inner = replace(
        inner, **{k: getattr(table, k)[below : below + count] for k in ("base", "slope")}
    )
    errors, at = largest_errors(inner, curve)
    worst = int(errors.argmax())
    largest = [(float(errors[worst]), int(x[worst, 0] + at[worst]))]  # error, x
    if below:
        largest.append(_asymptote_error(scale, -1, table, origin, width))
    if pieces.above:
        largest.append(_asymptote_error(scale, 1, table, beyond, width))
    params: dict[str, Any] = {"origin": origin, "width": width, "shift": table.shift}
    params |= {"base": table.base, "slope": table.slope}
    return Fit(params, *max(largest)), largest[0][0]


def _curve(scale: Scale, x: Ints, part: Ints) -> Curve:
    """The function on segments x [n, m]; between two parts it bends by at most h**2 / 8 * |f''|."""
    value = scale.f(x)
    h = float(np.diff(part).max(initial=1)) * scale.unit_in
    full = np.abs(value) >= WORD_LIMIT
    kinked = full.any(axis=1) & ~full.all(axis=1)  # saturation starts between two parts
    bend = ~full.all(axis=1) * scale.function.bend * h**2 / 8 / scale.unit_out
    bend += kinked * np.abs(np.diff(value)).max(axis=1, initial=0.0)
    return Curve(value, part, np.ones_like(value), bend)


def _with_asymptotes(scale: Scale, inner: Lines, below: int | None, above: int | None) -> Lines:
    """The lines with those of the asymptotes, which start at x = below and x = above."""
    base, slope = [inner.base], [inner.slope]
    for side, x in ((-1, below), (1, above)):
        if x is not None:
            at = len(base) if side > 0 else 0
            base.insert(at, np.rint(scale.asymptote(np.array([x]), side)).astype(np.int64))
            steep = np.rint([scale.slope(side) * 2.0**inner.shift]).astype(np.int64)
            slope.insert(at, steep.clip(-SLOPE_LIMIT, SLOPE_LIMIT))
    return Lines(np.concatenate(base), np.concatenate(slope), inner.shift)


def _asymptote_error(
    scale: Scale, side: int, table: Lines, start: int, width: int
) -> tuple[float, int]:
    """Largest error of the line that stands for an asymptote, and the x where it occurs.

    The error of a rounded slope grows up to the end of the word's range, or up to where the payload
    saturates, while the function approaches its asymptote.
    """
    base, slope = (int(values[0 if side < 0 else -1]) for values in (table.base, table.slope))
    edge = start if side > 0 else 1 - start - (1 << width)  # |x| from here on
    steep = abs(scale.slope(side))
    far = max(edge, min(WORD_LIMIT, math.ceil(WORD_LIMIT / steep) if steep else WORD_LIMIT))
    first = int(edge * scale.unit_in / TAIL_STEP)
    tails = np.append(_tails(scale.function, side)[first:], 0.0) / scale.unit_out
    x = ((first + np.arange(len(tails) + 1)) * TAIL_STEP / scale.unit_in).clip(edge, far) * side
    x[-1] = far * side
    line = (base + slope * (x - start) / 2.0**table.shift).clip(-WORD_LIMIT, WORD_LIMIT)
    off = np.abs(line - scale.asymptote(x, side))
    errors = tails + np.maximum(off[:-1], off[1:])  # from one x to the next
    worst = int(errors.argmax())
    rounding = 0.5 * bool(slope % (1 << table.shift))
    return float(errors[worst]) + rounding, int(x[worst + (off[worst + 1] > off[worst])])


@lru_cache(CACHED_FITS)
def octave_fit(root: bool, unit_in: float, unit_out: float, budget: float = OCTAVE_BUDGET) -> Fit:
    """y = x**-1, or x**-0.5 if `root`, with a relative error of at most `budget`.

    The finest table if none keeps the budget.  Units change the table only through the mantissa of
    f(1).
    """
    power = -0.5 if root else -1.0
    mantissa, exponent = math.frexp(unit_in**power / unit_out)
    fit = _octave_lines(root, mantissa, budget)
    return replace(fit, table={**fit.table, "exponent": exponent - LINE_BITS})


@lru_cache(CACHED_FITS)
def _octave_lines(root: bool, mantissa: float, budget: float) -> Fit:
    return _fewest((_octaves(root, mantissa, log2) for log2 in range(MOST_LINES_LOG2 + 1)), budget)


def _fewest(fits: Iterator[Fit], budget: float) -> Fit:
    """The first fit that keeps the budget, or the last; each has more lines than the one before."""
    for fit in fits:
        if fit.error <= budget:
            break
    return fit


def _octaves(root: bool, mantissa: float, lines_log2: int) -> Fit:
    """2**lines_log2 lines on [1, 2), and for the root as many more on [2, 4)."""
    power, width = -0.5 if root else -1.0, FRACTION_BITS - lines_log2
    part, count = parts(width), 1 << lines_log2
    fraction = (np.arange(count) << width)[:, None] + part  # [count, m]
    m = 1 + fraction / 2.0**FRACTION_BITS
    if root:
        m = np.concatenate([m, 2 * m])
    value = mantissa * 2.0**LINE_BITS * m**power
    # f'' / f is power (power - 1) / m**2
    h = float(np.diff(part).max(initial=1)) / 2.0**FRACTION_BITS
    bend = np.full(len(m), power * (power - 1) * h**2 / 8)
    curve = Curve(value, part, 1 / value, bend)
    lines = in_words(fit_lines(curve))
    lines = join(lines, 1 << width, -(-int(lines.base[0]) // 2))  # the next octave's start
    errors, at = largest_errors(lines, curve)
    worst = int(errors.argmax())
    octave = FRACTION_BITS - (1 + root) + worst // count  # the largest x of this line
    x = (1 << octave) + (((worst % count << width) + int(at[worst])) >> (FRACTION_BITS - octave))
    table: dict[str, Any] = {
        "root": int(root),
        "lines_log2": lines_log2,
        "exponent": 0,
        "shift": lines.shift,
    }
    table |= {"base": lines.base, "slope": lines.slope}
    return Fit(table, float(errors[worst]), x)


@lru_cache(CACHED_FITS)
def antilog_fit(fraction_bits: int, one: int, budget: float = ANTILOG_BUDGET) -> Fit:
    """y = one * 2**-(below / 2**fraction_bits) with a relative error of at most `budget`.

    The finest table if none keeps the budget: lines are integers, so a budget below 2 / one need
    not be reachable.
    """
    most = min(MOST_LINES_LOG2, fraction_bits)
    return _fewest((_antilog(fraction_bits, one, log2) for log2 in range(most + 1)), budget)


def _antilog(fraction_bits: int, one: int, lines_log2: int) -> Fit:
    """2**lines_log2 lines: lines of -f with negated bases, because the kind subtracts a rise."""
    width, count = fraction_bits - lines_log2, 1 << lines_log2
    part = parts(width)
    below = (np.arange(count) << width)[:, None] + part  # [count, m]
    value = one * 2.0 ** (-below / 2.0**fraction_bits)
    h = float(np.diff(part).max(initial=1)) / 2.0**fraction_bits
    curve = Curve(-value, part, 1 / value, np.full(count, math.log(2) ** 2 * h**2 / 8))
    lines = fit_lines(curve)
    lines = replace(lines, base=lines.base.clip(-one, 0))  # the largest weight is all ones
    lines = join(lines, 1 << width, int(lines.base[0]) // 2)
    errors, at = largest_errors(lines, curve)
    worst = int(errors.argmax())
    table: dict[str, Any] = {
        "fraction_bits": fraction_bits,
        "lines_log2": lines_log2,
        "shift": lines.shift,
    }
    table |= {"base": -lines.base, "slope": lines.slope}
    return Fit(table, float(errors[worst]), (worst << width) + int(at[worst]))

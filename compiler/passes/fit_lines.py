"""fit_lines: scalar functions as integer tables of lines, the HG neurons' sub-domains.

Each line is the chord of its segment moved by half the error in its middle, which halves the
largest error of a chord (minimax for a parabola).  Tables are integers in the units of input and
output.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.arrays import WORD_LIMIT

Floats = NDArray[np.float64]

SEGMENTS = 1024  # most lines of a bounded function
OCTAVE_LINES = 7  # log2 of the lines in one octave: relative error 8e-6
ANTILOG_LINES = 6  # relative error 8e-6
SLOPE_BITS = 17
LINE_BITS = 21

_erf = np.vectorize(math.erf, otypes=[float])


def _gelu(x: Floats) -> Floats:
    return np.asarray(0.5 * x * (1 + _erf(x / math.sqrt(2))))


def _gelu_tanh(x: Floats) -> Floats:
    return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))


def _silu(x: Floats) -> Floats:
    return np.asarray(x * 0.5 * (1 + np.tanh(x / 2)))  # the logistic, without overflow


# function, and the |x| beyond which it equals its asymptotes to 1e-6
BOUNDED: dict[str, tuple[Callable[[Floats], Floats], float]] = {
    "gelu": (_gelu, 6.0),
    "gelu_tanh": (_gelu_tanh, 6.0),
    "silu": (_silu, 16.0),
}


def _lines(f: Callable[[Floats], Floats], left: Floats, right: Floats) -> tuple[Floats, Floats]:
    """Value at the left edge and rise over the segment of each line."""
    low, high, middle = f(left), f(right), f((left + right) / 2)
    lift = (middle - (low + high) / 2) / 2
    return low + lift, high - low


def segment_table(fn: str, unit_in: float, unit_out: float) -> Mapping[str, Any]:
    """Parameters of a `segment` population: y = fn(x), asymptotes 0 and x outside.

    Where a 24-bit x does not reach the asymptotes, the end lines carry on as they are.
    """
    f, reach = BOUNDED[fn]
    whole = reach <= WORD_LIMIT * unit_in  # else x never gets to the asymptotes
    reach = min(reach, WORD_LIMIT * unit_in)
    width = max(0, math.ceil(math.log2(2 * reach / SEGMENTS / unit_in)))
    side = math.floor(reach / unit_in / 2**width) + int(whole)  # lines left and right of 0
    origin = -side << width
    left = (origin + (np.arange(2 * side) << width)) * unit_in
    base, rise = _lines(f, left, left + unit_in * 2.0**width)
    if whole:
        base[0], rise[0] = 0.0, 0.0
        base[-1], rise[-1] = left[-1], unit_in * 2.0**width
    slope = rise / unit_out / 2.0**width
    shift = max(0, SLOPE_BITS - math.ceil(math.log2(np.abs(slope).max())))
    return {
        "origin": origin,
        "width": width,
        "shift": shift,
        "base": np.rint(base / unit_out).clip(-WORD_LIMIT, WORD_LIMIT).astype(np.int64),
        "slope": np.rint(slope * 2.0**shift).astype(np.int64),
    }


def octave_table(root: bool, unit_in: float, unit_out: float) -> Mapping[str, Any]:
    """Parameters of an `octave` population: y = x**-1, or x**-0.5 if `root`."""
    power = -0.5 if root else -1.0
    mantissa, exponent = math.frexp(unit_in**power / unit_out)
    count = 1 << OCTAVE_LINES
    left = 1 + np.arange(count) / count
    if root:
        left = np.concatenate([left, 2 * left])
    width = (left >= 2) * (1 / count) + 1 / count
    base, rise = _lines(lambda x: np.asarray(x**power), left, left + width)
    part_bits = 23 - OCTAVE_LINES
    slope = mantissa * rise * 2.0**LINE_BITS / 2**part_bits
    shift = SLOPE_BITS - math.ceil(math.log2(np.abs(slope).max()))
    return {
        "root": int(root),
        "lines_log2": OCTAVE_LINES,
        "exponent": exponent - LINE_BITS,
        "shift": shift,
        "base": np.rint(mantissa * base * 2.0**LINE_BITS).astype(np.int64),
        "slope": np.rint(slope * 2.0**shift).astype(np.int64),
    }


def antilog_table(fraction_bits: int, one: int) -> Mapping[str, Any]:
    """Parameters of an `antilog` population whose payload for 2**0 is `one`."""
    count = 1 << ANTILOG_LINES
    left = np.arange(count) / count
    base, rise = _lines(lambda x: np.asarray(2.0**-x), left, left + 1 / count)
    slope = -rise * one / 2 ** (fraction_bits - ANTILOG_LINES)
    shift = SLOPE_BITS - math.ceil(math.log2(slope.max()))
    return {
        "fraction_bits": fraction_bits,
        "lines_log2": ANTILOG_LINES,
        "shift": shift,
        "base": np.minimum(np.rint(base * one), one).astype(np.int64),
        "slope": np.rint(slope * 2.0**shift).astype(np.int64),
    }

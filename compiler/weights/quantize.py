"""quantize: float weights to int8 with one real scale per output channel, one matrix at a time.

Input: weights, and second moments of their inputs from calibration.  Output: one or two planes of
int8 weights and their scale.  Planes are in unnamed temporary files, so that only one layer is in
memory at a time.  The scale is the channel's largest weight / 127; it becomes part of the receiving
compartment's multiplier, and is not restricted to powers of two.

One plane is rounded to second order (GPTQ, arXiv 2210.17323, algorithm 1): columns are rounded in
turn, largest inputs first, and later columns compensate each one's error as far as the inputs'
correlations allow; then single weights are moved by whole steps while that lowers the expected
squared error of their row.  Without moments, weights are rounded to nearest.  Two planes hold 15
bits, weight = scale * (coarse + fine / 128), rounded to nearest.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from las_neuro.graph import Tensor

WEIGHT_LIMIT = 127
FINE = 128  # steps of the fine plane in one step of the coarse plane
DAMPING = 0.2  # share of the mean diagonal that is added to it: calibration text is a small sample
BLOCK = 64  # columns corrected together
CLIPPED_BITS = 6  # with fewer bits a row's clip is searched
CLIPS = tuple(1 - 0.05 * i for i in range(11))
SWEEPS = 6  # over all columns; after three, hardly any weight still changes

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Plane:
    """int8 [n_post, n_pre] in a temporary file."""

    values: NDArray[np.int8] = field(repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        return (self.values.shape[0], self.values.shape[1])

    def load(self) -> NDArray[np.int8]:
        return np.array(self.values)


@dataclass(frozen=True)
class Quantized:
    """weight = scale[:, None] * sum over planes of plane / 128**place, columns times their spread.

    scale [n_post].  bias [n_post]: replaces the receivers' bias if it corrects the change of the
    mean output by rounding; None: the bias is unchanged.
    """

    planes: tuple[Plane, ...]
    scale: Doubles = field(repr=False)
    bias: Doubles | None = field(default=None, repr=False)

    def value(self) -> Doubles:
        """The weights [n_post, n_pre] that these planes represent, columns times their spread."""
        total = sum(plane.load() / FINE**place for place, plane in enumerate(self.planes))
        return np.asarray(total * self.scale[:, None])


def quantize(
    exact: Doubles,
    moment: Doubles | None = None,
    planes: int = 1,
    bits: int = 8,
    clip: Doubles | None = None,
) -> Quantized:
    """Round weights [n_post, n_pre].

    moment [n_pre, n_pre]: second moments of the inputs about their means; None: round to nearest.
    bits: of a weight.  clip [n_post]: the share of each row's largest weight that the largest step
    represents; None: the share with the least expected error below 6 bits, otherwise 1.
    """
    limit = 2 ** (bits - 1) - 1
    peak = np.abs(exact).max(axis=1)
    scale = np.where(peak > 0, peak / limit, 1.0)
    if clip is not None:
        scale = scale * clip
    elif bits < CLIPPED_BITS:
        scale = scale * _clip(exact / scale[:, None], moment, limit)
    scaled = exact / scale[:, None]
    if planes == 1 and moment is not None:
        rounded = _second_order(scaled, moment, limit)
    elif bits < 8:
        rounded = _nearest(scaled, 1, limit)
    else:
        rounded = _nearest(scaled, FINE if planes == 2 else 1)
    coarse = _nearest(rounded)
    parts = [_store(coarse)] + [_store((rounded - coarse) * FINE)] * (planes - 1)
    return Quantized(tuple(parts), scale)


def _store(values: Doubles) -> Plane:
    with tempfile.TemporaryFile() as file:
        array = np.memmap(file, dtype=np.int8, mode="w+", shape=values.shape)
    array[:] = values
    return Plane(array)


def _clip(scaled: Doubles, moment: Doubles | None, limit: int) -> Doubles:
    """The clip [n_post] with the least expected squared error of each row."""
    power = np.ones(scaled.shape[1]) if moment is None else np.diagonal(moment)
    shares = np.array(CLIPS)
    lost = [
        np.square(share * _nearest(scaled / share, 1, limit) - scaled) @ power for share in shares
    ]
    return np.asarray(shares[np.argmin(lost, axis=0)])


def _nearest(scaled: Doubles, parts: int = 1, limit: int = WEIGHT_LIMIT) -> Doubles:
    """The nearest multiple of 1 / parts up to the limit."""
    return np.asarray((np.rint(scaled * parts) / parts).clip(-limit, limit))


def _second_order(scaled: Doubles, moment: Doubles, limit: int = WEIGHT_LIMIT) -> Doubles:
    """GPTQ on weights in units of their scale, which does not change the best rounding."""
    order = np.argsort(-np.diagonal(moment), kind="stable")
    exact = scaled[:, order]
    work, out = exact.copy(), np.empty_like(exact)
    ordered = damped(moment[np.ix_(order, order)])
    gain = error_gain(ordered)
    for start in range(0, work.shape[1], BLOCK):
        stop = min(start + BLOCK, work.shape[1])
        errors = np.empty((work.shape[0], stop - start))
        for i in range(start, stop):
            out[:, i] = _nearest(work[:, i], 1, limit)
            errors[:, i - start] = (work[:, i] - out[:, i]) / gain[i, i]
            work[:, i:stop] -= np.outer(errors[:, i - start], gain[i, i:stop])
        work[:, stop:] -= errors @ gain[start:stop, stop:]
    _settle(out, exact, ordered, limit)
    back = np.empty_like(out)
    back[:, order] = out
    return back


def _settle(rounded: Doubles, exact: Doubles, moment: Doubles, limit: int) -> None:
    """Coordinate descent, in place, on each row's (rounded - exact) moment (rounded - exact)."""
    slope = (rounded - exact) @ moment
    for _ in range(SWEEPS):
        moved = 0
        for j, curvature in enumerate(np.diagonal(moment)):
            best = _nearest(rounded[:, j] - np.rint(slope[:, j] / curvature), 1, limit)
            rows = np.flatnonzero(best != rounded[:, j])
            slope[rows] += np.outer(best[rows] - rounded[rows, j], moment[j])
            rounded[rows, j] = best[rows]
            moved += len(rows)
        if not moved:
            break


def damped(moment: Doubles) -> Doubles:
    """The moment [n, n] with DAMPING times its mean diagonal added to the diagonal."""
    extra = DAMPING * np.diagonal(moment).mean() + 1e-12
    return np.asarray(moment + np.diag(np.full(len(moment), extra)))


def error_gain(moment: Doubles) -> Doubles:
    """Upper Cholesky factor [n, n] of a damped moment's inverse.

    Row i says how column i's error is distributed over the columns after it.
    """
    return np.linalg.cholesky(np.linalg.inv(moment)).T


@dataclass(frozen=True)
class Unweighted:
    """The shape of a matrix without its weights, for plans, which read no weights.

    `load` raises ValueError.
    """

    shape: tuple[int, int]

    def load(self) -> NDArray[np.int8]:
        raise ValueError("a plan has no weights")


@dataclass(frozen=True)
class TableRows:
    """A table of the host in payloads: int32 [rows, n] = round(table / unit)."""

    tensor: Tensor
    unit: float

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape

    def load(self) -> NDArray[np.int32]:
        # In float64: float32 has only 4 bits beyond a payload's 20, too few to round to nearest.
        scaled = np.divide(self.tensor.load(), self.unit, dtype=np.float64)
        rows: NDArray[np.int32] = np.rint(scaled, out=scaled).astype(np.int32)
        return rows

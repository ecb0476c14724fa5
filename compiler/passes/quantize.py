"""quantize: float weights to int8 with one free scale per output channel, a matrix at a time.

Needs: a weight that can be loaded, and the second moment of its inputs if calibration measured it.
Leaves: int8 weights in an unnamed temporary file, so that memory holds one layer at a time, and
their scales.  The scale is the channel's largest weight / 127; it is folded into the receiving
compartment's own multiplier, never into a power of two.

Rounding is second-order (GPTQ, arXiv 2210.17323, algorithm 1): columns are rounded in turn, largest
inputs first, and each one's error is made up for by the columns still to come, as far as the
inputs' correlations allow.  Without moments it is to nearest.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from las_neuro.graph import Floats, Tensor

WEIGHT_LIMIT = 127
DAMPING = 0.05  # of the mean diagonal, added to it: calibration text is a small sample
BLOCK = 64  # columns corrected together

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Quantized:
    """int8 [n_post, n_pre] in a temporary file; weight = scale[:, None] * int8."""

    values: NDArray[np.int8] = field(repr=False)
    scale: Doubles = field(repr=False)  # [n_post]

    @property
    def shape(self) -> tuple[int, int]:
        return (self.values.shape[0], self.values.shape[1])

    def load(self) -> NDArray[np.int8]:
        return np.array(self.values)


def quantize(weight: Tensor, moment: Floats | None = None) -> Quantized:
    """Round one weight [n_post, n_pre]; moment: mean of x x^T of its inputs [n_pre, n_pre]."""
    exact = weight.load().astype(np.float64)
    peak = np.abs(exact).max(axis=1)
    scale = np.where(peak > 0, peak / WEIGHT_LIMIT, 1.0)
    scaled = exact / scale[:, None]
    rounded = _nearest(scaled) if moment is None else _second_order(scaled, moment)
    with tempfile.TemporaryFile() as file:
        values = np.memmap(file, dtype=np.int8, mode="w+", shape=rounded.shape)
    values[:] = rounded
    return Quantized(values, scale)


def _nearest(scaled: Doubles) -> Doubles:
    return np.asarray(np.rint(scaled).clip(-WEIGHT_LIMIT, WEIGHT_LIMIT))


def _second_order(scaled: Doubles, moment: Floats) -> Doubles:
    """GPTQ on weights in units of their scale, which do not change the best rounding."""
    order = np.argsort(-np.diagonal(moment), kind="stable")
    work, out = scaled[:, order], np.empty_like(scaled)
    gain = _error_gain(moment[np.ix_(order, order)].astype(np.float64))
    for start in range(0, work.shape[1], BLOCK):
        stop = min(start + BLOCK, work.shape[1])
        errors = np.empty((work.shape[0], stop - start))
        for i in range(start, stop):
            out[:, i] = _nearest(work[:, i])
            errors[:, i - start] = (work[:, i] - out[:, i]) / gain[i, i]
            work[:, i:stop] -= np.outer(errors[:, i - start], gain[i, i:stop])
        work[:, stop:] -= errors @ gain[start:stop, stop:]
    back = np.empty_like(out)
    back[:, order] = out
    return back


def _error_gain(moment: Doubles) -> Doubles:
    """Upper Cholesky factor of the damped moment's inverse: row i spreads column i's error."""
    diagonal = np.diagonal(moment)
    damped = moment + np.diag(np.full(len(moment), DAMPING * diagonal.mean() + 1e-12))
    return np.linalg.cholesky(np.linalg.inv(damped)).T


@dataclass(frozen=True)
class Unweighted:
    """The shape of a matrix whose weights are not there: planning reads no checkpoint."""

    shape: tuple[int, int]

    def load(self) -> NDArray[np.int8]:
        raise ValueError("a plan has no weights")


@dataclass(frozen=True)
class TableRows:
    """Host table in payloads: int32 [rows, n] = round(table / unit)."""

    tensor: Tensor
    unit: float

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape

    def load(self) -> NDArray[np.int32]:
        rows: NDArray[np.int32] = np.rint(self.tensor.load() / self.unit).astype(np.int32)
        return rows

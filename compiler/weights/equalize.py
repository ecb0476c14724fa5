"""equalize: a threshold per channel, to lose as little as possible with 8-bit weights.

If only linear maps read an encoder's spikes, it can divide channel j by spread[j] while those maps
multiply column j by it: only the rounding changes.  A row's step is its largest weight over 127, so
a column whose weights are small in every row can be enlarged without making any step larger, and
its channel then loses less.  The spread s minimises the expected squared rounding error of all maps
that read the encoder,

    (sum_i max_j (|w_ij| s_j)^2) * (sum_j g_j^2 / s_j^2)

where g_j^2 is the variance of channel j given the channels that GPTQ rounds after it: the part that
second-order rounding cannot compensate.  The idea is that of cross-layer equalisation (arXiv
1906.04721) and SmoothQuant (arXiv 2211.10438); the objective and its descent are ours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compiler.weights.quantize import damped, error_gain
from las_neuro.graph import Floats

Doubles = NDArray[np.float64]

LARGEST = 16.0  # spread; the smallest is 1 / LARGEST
ROUNDS = 80  # of descent
RATE = 0.1  # step of log s per round, falling to 0


def spread(weights: Floats, moment: Doubles) -> Doubles:
    """Each channel's spread [n]; weights: rows [rows, n] of all linear maps that read the encoder.

    moment: second moments of the channels about their means [n, n].
    """
    rows = np.abs(weights)
    return _descend(rows[rows.any(axis=1)], _conditional_variance(moment).astype(np.float32))


def _conditional_variance(moment: Doubles) -> Doubles:
    """Variance of each channel given those rounded after it; the largest is rounded first."""
    order = np.argsort(-np.diagonal(moment), kind="stable")
    factor = error_gain(damped(moment)[np.ix_(order, order)])
    variance = np.empty(len(moment))
    variance[order] = np.diagonal(factor) ** -2.0
    return variance


def _descend(weights: Floats, variance: Floats) -> Doubles:
    """Adam on log s; gradients of the rows' maxima are softened, and the best s is returned."""
    log_s = np.zeros(len(variance), np.float32)
    first, second = np.zeros_like(log_s), np.zeros_like(log_s)
    best, best_error = log_s, np.inf
    for k in range(ROUNDS if len(weights) else 0):
        s = np.exp(log_s)
        scaled = weights * s
        peaks = scaled.max(axis=1, keepdims=True)
        noise = variance / s**2
        error = float((peaks**2).sum()) * float(noise.sum())
        if error < best_error:
            best, best_error = log_s.copy(), error
        share = _sharpened(scaled / peaks)  # each row's maximum, shared among its largest weights
        share *= peaks**2 / share.sum(axis=1, keepdims=True)
        slope = share.sum(axis=0) / (peaks**2).sum() - noise / noise.sum()
        first = 0.9 * first + 0.1 * slope
        second = 0.99 * second + 0.01 * slope**2
        step = first / (1 - 0.9 ** (k + 1)) / (np.sqrt(second / (1 - 0.99 ** (k + 1))) + 1e-9)
        log_s = log_s - RATE * (1 - k / ROUNDS) * step
        log_s = np.clip(log_s - log_s.mean(), -np.log(LARGEST), np.log(LARGEST))
    return np.exp(best.astype(np.float64))


def _sharpened(x: Floats) -> Floats:
    """x**24 for x in [0, 1], by squaring."""
    eighth = np.square(np.square(np.square(x)))
    sharp: Floats = eighth * np.square(eighth)
    return sharp

"""equalize: each channel's own threshold, so that 8-bit weights serve all channels equally well.

An encoder whose spikes only linear maps read may divide channel j by spread[j] if those maps
multiply column j by it: nothing changes but the rounding.  A row's step is its largest weight over
127, so a column that is small against the rows' largest weights, on a channel that carries much,
can be enlarged for free.  The spread minimises the expected squared rounding error of all readers,

    (sum_i max_j (|w_ij| s_j)^2) * (sum_j g_j^2 / s_j^2)

g_j^2 is the variance of channel j given the channels that GPTQ rounds after it: what second-order
rounding cannot make up for.  The idea is cross-layer equalisation (arXiv 1906.04721) and
SmoothQuant (arXiv 2211.10438); this objective and its descent are ours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compiler.weights.quantize import damped, error_gain
from las_neuro.graph import Floats

Doubles = NDArray[np.float64]

LARGEST = 16.0  # spread, either way
ROUNDS = 80  # of descent
RATE = 0.1  # of the logarithm, a round, falling to 0


def spread(weights: Floats, moment: Doubles) -> Doubles:
    """Each channel's spread [n] for the weights [rows, n] of all that read it together.

    moment: second moments of the channels about their means [n, n].
    """
    rows = np.abs(weights)
    return _descend(rows[rows.any(axis=1)], _left_over(moment).astype(np.float32))


def _left_over(moment: Doubles) -> Doubles:
    """Variance of each channel given those rounded after it, the loudest being rounded first."""
    order = np.argsort(-np.diagonal(moment), kind="stable")
    factor = error_gain(damped(moment)[np.ix_(order, order)])
    found = np.empty(len(moment))
    found[order] = np.diagonal(factor) ** -2.0
    return found


def _descend(weights: Floats, left: Floats) -> Doubles:
    """Adam on log s; the rows' maxima are softened, and the best s met is kept."""
    log_s = np.zeros(len(left), np.float32)
    first, second = np.zeros_like(log_s), np.zeros_like(log_s)
    best, best_error = log_s, np.inf
    for k in range(ROUNDS if len(weights) else 0):
        s = np.exp(log_s)
        scaled = weights * s
        peaks = scaled.max(axis=1, keepdims=True)
        noise = left / s**2
        error = float((peaks**2).sum()) * float(noise.sum())
        if error < best_error:
            best, best_error = log_s.copy(), error
        blame = _sharpened(scaled / peaks)  # each row's maximum, shared among its largest
        blame *= peaks**2 / blame.sum(axis=1, keepdims=True)
        slope = blame.sum(axis=0) / (peaks**2).sum() - noise / noise.sum()
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

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

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from las_neuro.graph import Floats, Graph, Node, Range

Doubles = NDArray[np.float64]

DAMPING = 0.05  # of the mean variance, added to each: calibration text is a small sample
LARGEST = 16.0  # spread, either way
ROUNDS = 80  # of descent
RATE = 0.1  # of the logarithm, a round, falling to 0


def equalize(graph: Graph) -> Graph:
    """The graph with attrs["spread"] [n] on every encoder that only linear maps read.

    Needs second moments; encoders without keep one threshold for all channels.
    """
    readers = graph.readers()
    out = graph.empty_like()
    for node in graph:
        linear = [graph[name] for name in readers[node.name]]
        attrs = dict(node.attrs)
        if node.op == "encode" and linear and all(reader.op == "linear" for reader in linear):
            seen = node.range
            if seen is not None and seen.moment is not None and seen.mean is not None:
                attrs["spread"] = _spread(linear, seen)
        out.nodes[node.name] = replace(node, attrs=attrs)
    return out


def covariance(seen: Range) -> Doubles:
    """Second moments about the mean [n, n], which a bias makes up for."""
    assert seen.moment is not None
    assert seen.mean is not None
    mean = seen.mean.astype(np.float64)
    return seen.moment.astype(np.float64) - np.outer(mean, mean)


def _spread(readers: list[Node], seen: Range) -> Doubles:
    weights = np.concatenate([np.abs(node.weights["weight"].load()) for node in readers])
    left = _left_over(covariance(seen)).astype(np.float32)
    return _descend(weights[weights.any(axis=1)], left)


def _left_over(moment: Doubles) -> Doubles:
    """Variance of each channel given those rounded after it, the loudest being rounded first."""
    diagonal = np.diagonal(moment)
    order = np.argsort(-diagonal, kind="stable")
    damped = moment + np.diag(np.full(len(moment), DAMPING * diagonal.mean() + 1e-12))
    factor = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T
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

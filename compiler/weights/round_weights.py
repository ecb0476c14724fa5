"""round_weights: every weight to int8, layer by layer, each for the inputs it will really get.

Needs: ranges, and calibration tokens that are like the text to come.  Leaves: `spread` on the
encoders that only linear maps read, `rounded` on the linear maps.  Without such tokens
(a plan, or an encoder that was given no text) weights are rounded to nearest in `lower`.

The float model runs beside one whose weights are rounded so far.  A linear map with weights W sees
inputs x' = x + e there; what of W x can be had from x' is W' x' + b', least squares' answer,

    W' = (W E[x x'^T] + k W) (E[x' x'^T] + k)^-1      moments about the means, k a damping

and W' is what is rounded: each layer makes up for what the layers before it lost (as GPTAQ,
arXiv 2504.02692, does).  Where the result is only added to a residual stream that has lost r, W x
stands for W x + r: the map gives back of r what can be had from x' (ours).  The means go to the
bias, which every receiver has for nothing.
Two planes lose too little for that; they are rounded to nearest as they are.  Maps whose clips were
learned beside activations of few bits (las_neuro/training/omniquant.py) are rounded to second
order as they are: making up for exact activations would be wrong there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from compiler.weights.equalize import spread
from compiler.weights.quantize import Quantized, quantize
from las_neuro.graph import Floats, Graph, Node, Tensor
from las_neuro.progress import Progress, silent
from las_neuro.rows import Rows

Doubles = NDArray[np.float64]
DAMPING = 1.0  # of the mean variance, added to each: calibration text is a small sample


def round_layers(graph: Graph, batches: Sequence[Rows], progress: Progress = silent) -> Graph:
    """The graph with every weight rounded; batches: tokens [B, S] or patches [B, S, pixels]."""
    from las_neuro.reference.beside import run_beside  # torch is slow to import

    rounding = Rounding(graph, progress)
    run_beside(graph, batches, rounding.replaced)

    def rounded(node: Node) -> Node:
        if node.name in rounding.spreads:
            return node.with_attributes(spread=rounding.spreads[node.name])
        if node.name in rounding.done:
            return node.with_attributes(rounded=rounding.done[node.name])
        return node

    return graph.mapped(rounded)


@dataclass
class Rounding:
    """What was rounded so far."""

    graph: Graph
    progress: Progress
    spreads: dict[str, Doubles] = field(default_factory=dict)
    done: dict[str, Quantized] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.readers = self.graph.readers()
        self.maps = sum(node.op == "linear" for node in self.graph)

    def replaced(
        self, node: Node, exact: Floats, real: Floats, lost: Floats | None
    ) -> Mapping[str, Tensor]:
        """Round one linear map; exact and real inputs [tokens, n], loss to make up for."""
        seen = Seen.of(exact, real)
        wide, planes = self._spread(node.inputs[0], seen), node["planes"]
        weight = node.weights["weight"].load().astype(np.float64)
        bits = node["weight_bits"]
        as_they_are = planes == 2 or node["clip"] is not None
        fitted = weight if as_they_are else seen.fit(weight, lost)
        moment, clip = seen.moment / np.outer(wide, wide), node["clip"]
        rounded = quantize(fitted * wide, moment, planes, bits, clip)
        value = rounded.value() / wide
        bias = weight @ seen.exact_mean - value @ seen.mean
        if lost is not None:
            bias = bias + lost.mean(axis=0, dtype=np.float64)
        if "bias" in node.weights:
            bias = bias + node.weights["bias"].load()
        self.done[node.name] = replace(rounded, bias=bias)
        self.progress("round weights", len(self.done), self.maps)
        return {"weight": _tensor(node, "weight", value), "bias": _tensor(node, "bias", bias)}

    def _spread(self, encoder: str, seen: Seen) -> Doubles:
        """Found at the first linear map that reads the encoder, for all of them."""
        readers = [self.graph[name] for name in self.readers[encoder]]
        if encoder not in self.spreads:
            given = self.graph[encoder]["spread"]
            if given is not None:  # trained, or learned
                return np.asarray(np.broadcast_to(given, len(seen.mean)))
            if any(reader.op != "linear" for reader in readers):
                return np.ones(len(seen.mean))
            weights = [reader.weights["weight"].load() for reader in readers]
            self.spreads[encoder] = spread(np.concatenate(weights), seen.moment)
        return self.spreads[encoder]


@dataclass(frozen=True)
class Seen:
    """Means and second moments about them of a linear map's inputs, exact x and real x'."""

    exact_mean: Doubles  # [n]
    mean: Doubles  # [n], of x'
    centred: Floats  # [tokens, n], x' about its mean
    moment: Doubles  # [n, n], of x'
    across: Doubles  # [n, n], of x x'^T

    @staticmethod
    def of(exact: Floats, real: Floats) -> Seen:
        means = [x.mean(axis=0, dtype=np.float64) for x in (exact, real)]
        x, y = (
            rows - mean.astype(np.float32) for rows, mean in zip((exact, real), means, strict=True)
        )
        count = len(exact)
        moment, across = (np.asarray(left.T @ y / count, np.float64) for left in (y, x))
        return Seen(means[0], means[1], y, moment, across)

    def fit(self, weight: Doubles, lost: Floats | None) -> Doubles:
        """Weights for x' that come nearest to weight @ x, and to what was lost beside it."""
        damping = DAMPING * np.diagonal(self.moment).mean() + 1e-12
        wanted = weight @ self.across + damping * weight
        if lost is not None:
            wanted = wanted + lost.T @ self.centred / len(lost)
        found = np.linalg.solve(self.moment + damping * np.eye(len(self.moment)), wanted.T)
        return np.ascontiguousarray(found.T)


def _tensor(node: Node, part: str, values: Doubles) -> Tensor:
    return Tensor.of(f"{node.name}.{part}", values.astype(np.float32))

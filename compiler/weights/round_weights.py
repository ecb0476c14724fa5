"""round_weights: round weights to int8, each layer for the inputs that the rounded layers give it.

Needs: ranges, and calibration tokens like the text that will be read.  Leaves: `spread` on the
encoders that only linear maps read, `rounded` on the linear maps.  Without such tokens (a plan, or
an encoder calibrated without a text) weights are rounded to nearest by the pass `lower`.

The float model runs together with a copy whose earlier weights are already rounded.  A linear map
with weights W gets inputs x' = x + e in that copy; least squares estimates W x from x' as
W' x' + b',

    W' = (W E[x x'^T] + k W) (E[x' x'^T] + k)^-1      moments about the means, k a damping

and W' is rounded in place of W: each layer compensates the errors of the layers before it (as in
GPTAQ, arXiv 2504.02692).  If the result is only added to a residual stream that is too small by r,
the target is W x + r instead of W x, so the map also restores the part of r that x' predicts; this
is ours.  The means go to the bias, which every receiver has anyway.

Two planes lose too little for this: their weights are rounded to nearest without compensation.
Maps whose clips were learned for activations of few bits (las_neuro/training/omniquant.py) are
rounded to second order, also without compensation: exact activations would be the wrong target.
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
DAMPING = 1.0  # of the mean variance, added to each variance: calibration text is a small sample


def round_layers(graph: Graph, batches: Sequence[Rows], progress: Progress = silent) -> Graph:
    """The graph with `spread` on encoders and `rounded` on linear maps.

    batches: tokens [B, S] or patches [B, S, pixels].
    """
    from las_neuro.reference.beside import run_beside  # torch is slow to import

    results = RoundedLayers(graph, progress)
    run_beside(graph, batches, results.replacement)

    def with_result(node: Node) -> Node:
        if node.name in results.spreads:
            return node.with_attributes(spread=results.spreads[node.name])
        if node.name in results.weights:
            return node.with_attributes(rounded=results.weights[node.name])
        return node

    return graph.mapped(with_result)


@dataclass
class RoundedLayers:
    """Spreads by encoder and rounded weights by linear map, filled layer by layer."""

    graph: Graph
    progress: Progress
    spreads: dict[str, Doubles] = field(default_factory=dict)
    weights: dict[str, Quantized] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.readers = self.graph.readers()
        self.maps = sum(node.op == "linear" for node in self.graph)

    def replacement(
        self, node: Node, exact: Floats, real: Floats, lost: Floats | None
    ) -> Mapping[str, Tensor]:
        """Round one linear map; returns the weight and bias that its planes represent.

        exact, real: inputs [tokens, n] of the float model and of the copy.  lost [tokens, n_post]:
        r of the residual stream, if the map should restore it.
        """
        inputs = Inputs.of(exact, real)
        scale, planes = self._spread(node.inputs[0], inputs), node["planes"]
        weight = node.weights["weight"].load().astype(np.float64)
        bits = node["weight_bits"]
        uncompensated = planes == 2 or node["clip"] is not None
        target = weight if uncompensated else inputs.fit(weight, lost)
        moment, clip = inputs.moment / np.outer(scale, scale), node["clip"]
        rounded = quantize(target * scale, moment, planes, bits, clip)
        value = rounded.value() / scale
        bias = weight @ inputs.exact_mean - value @ inputs.mean
        if lost is not None:
            bias = bias + lost.mean(axis=0, dtype=np.float64)
        if "bias" in node.weights:
            bias = bias + node.weights["bias"].load()
        self.weights[node.name] = replace(rounded, bias=bias)
        self.progress("round weights", len(self.weights), self.maps)
        return {"weight": _tensor(node, "weight", value), "bias": _tensor(node, "bias", bias)}

    def _spread(self, encoder: str, inputs: Inputs) -> Doubles:
        """The encoder's spread [n], computed once for all linear maps that read it."""
        readers = [self.graph[name] for name in self.readers[encoder]]
        if encoder not in self.spreads:
            fixed = self.graph[encoder]["spread"]
            if fixed is not None:  # trained or learned before
                return np.asarray(np.broadcast_to(fixed, len(inputs.mean)))
            if any(reader.op != "linear" for reader in readers):
                return np.ones(len(inputs.mean))
            weights = [reader.weights["weight"].load() for reader in readers]
            self.spreads[encoder] = spread(np.concatenate(weights), inputs.moment)
        return self.spreads[encoder]


@dataclass(frozen=True)
class Inputs:
    """Means of a linear map's exact inputs x and real inputs x', and moments about the means."""

    exact_mean: Doubles  # [n]
    mean: Doubles  # [n], of x'
    centred: Floats  # [tokens, n], x' about its mean
    moment: Doubles  # [n, n], of x'
    across: Doubles  # [n, n], of x x'^T

    @staticmethod
    def of(exact: Floats, real: Floats) -> Inputs:
        means = [x.mean(axis=0, dtype=np.float64) for x in (exact, real)]
        x, y = (
            rows - mean.astype(np.float32) for rows, mean in zip((exact, real), means, strict=True)
        )
        count = len(exact)
        moment, across = (np.asarray(left.T @ y / count, np.float64) for left in (y, x))
        return Inputs(means[0], means[1], y, moment, across)

    def fit(self, weight: Doubles, lost: Floats | None) -> Doubles:
        """Weights of x' whose output is nearest to weight @ x, plus `lost` if not None."""
        damping = DAMPING * np.diagonal(self.moment).mean() + 1e-12
        target = weight @ self.across + damping * weight
        if lost is not None:
            target = target + lost.T @ self.centred / len(lost)
        solution = np.linalg.solve(self.moment + damping * np.eye(len(self.moment)), target.T)
        return np.ascontiguousarray(solution.T)


def _tensor(node: Node, part: str, values: Doubles) -> Tensor:
    return Tensor.of(f"{node.name}.{part}", values.astype(np.float32))

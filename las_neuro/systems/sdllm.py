"""SDLLM: counts of symmetric spikes (arXiv 2604.16475; related code: SpikingBrain, 2509.05276).

Step 1 counts: c = round(x / V), V = mean|x| / k.  The mean is taken over the calibration text or,
with `per_token`, over each token, as in the paper.  SpikingBrain has k = 3; the default here is 8,
since 3 costs a tenth of the perplexity and more on small models.  Counts are clipped; channels
whose calibrated peak exceeds the clip form a second group, whose spikes count 2**j (`bitwise`:
either those channels or the values beyond the clip, whichever gives less error).

Step 2 sends a count as a spike train: `bitwise`, a signed spike per binary digit of |c|;
`twos_complement`, a spike per bit of c, the sign bit first; `ternary`, a spike of 1 or -1 per unit;
`graded`, one spike for all.

No code of SDLLM is public: k and the trains are SpikingBrain's, the clip and its second group a
reconstruction.  The paper's rotation is left out; an encoder's spread takes the place of gamma, the
paper's scale of each channel.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from las_neuro.checkpoint import Checkpoint
from las_neuro.graph import SPIKING, Axes, Graph, Node, Tensor, Value, verify
from las_neuro.neurons.codes import Code
from las_neuro.neurons.firing import Firing, Ints, graded, phase, powers, twos_complement
from las_neuro.neurons.thresholds import MARGIN, MOST_SHIFT, Site
from las_neuro.systems import las
from las_neuro.systems.las import Drawing
from las_neuro.systems.sites import linear_inputs, only_linear, relative, with_weight_bits

MOST_LIFT = 8  # encoder models have values a thousand times the mean, too many for 2**5
LEAST = 1e-3  # added to a token's mean |x|, so that a token of zeros is not divided by 0


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class SdLlm:
    """SDLLM (arXiv 2604.16475): an activation becomes a symmetric spike count, then a spike train.

    Inputs of linear maps: round(x k / mean|x|), clipped; large channels count in larger units.
    """

    steps: Annotated[int, Field(ge=1, le=63)] = 63  # the clip, the largest count
    k: Annotated[float, Field(gt=0, le=64)] = 8.0  # mean magnitude in spikes
    train: Literal["ternary", "bitwise", "graded", "twos_complement"] = "bitwise"
    per_token: bool = False  # mean|x| of each token, measured on the chip
    outliers: bool = True  # channels beyond the clip count in units of 2**j
    weight_bits: Annotated[int, Field(ge=2, le=8)] = 8

    def spiking(self, model: Graph, checkpoint: Checkpoint | None = None) -> Graph:
        graph = with_weight_bits(las.spiking(model), self.weight_bits)
        return per_token(graph) if self.per_token else graph

    def threshold(self, graph: Graph) -> Graph:
        return linear_inputs(graph, lambda node, site: self.code(site))

    def code(self, site: Site | None) -> Firing | Code:
        bits = self.steps.bit_length()
        clip = self.steps if self.train in ("ternary", "graded") else 2**bits - 1
        unit, lift, spread = 1.0, None, None
        if site is not None:
            spread = site.spread
            unit = float(np.abs(relative(site)).mean()) / self.k or 1.0
            beyond = np.ceil(np.log2(np.maximum(site.peaks / (unit * clip), 1.0)))
            lift = beyond.clip(0, MOST_LIFT).astype(np.int64) if self.outliers else None
        high = np.array([clip])
        match self.train:
            case "bitwise":
                return self._bitwise(site, unit, lift)
            case "twos_complement":
                return twos_complement(unit, bits + 1, lift=lift, spread=spread)
            case "graded":
                return graded(unit, high, 1, clip, lift=lift, spread=spread)
            case "ternary":
                return graded(unit, high, clip, 1, lift=lift, spread=spread)

    def _bitwise(self, site: Site | None, unit: float, lift: Ints | None) -> Firing | Code:
        """Bits of |c| with its sign; of two ways to code values beyond the clip, the better one.

        Either each such value is coded whole and 2**j coarser, with one j for all channels; or all
        values of its channel are, with a j of its own, which is better where one channel is far
        larger than the others.
        """
        digits = self.steps.bit_length()
        code = Code(digits, unit * 2**digits, spread=None if site is None else site.spread)
        if site is None or lift is None:
            return code
        outliers = MARGIN * site.peaks > code.theta
        if not outliers.any():
            return code
        # No wider than the calibrated peaks: with few digits that would cost more than clipping.
        least = int(np.ceil(np.log2(max(site.peaks.max() / code.theta, 2.0))))
        trials: list[Firing | Code] = [
            replace(code, outlier_shift=shift, outliers=outliers)
            for shift in range(min(least, MOST_SHIFT), MOST_SHIFT + 1)
        ]
        values = powers(2.0, digits)
        trials.append(phase(unit * sum(values), values, lift=lift, spread=site.spread))
        return min(trials, key=lambda trial: float(site.errors(trial).sum()))


def per_token(graph: Graph) -> Graph:
    """The graph in which encoders that only linear maps read code x / mean|x| of each token.

    W x = mean|x| W (x / mean|x|): the maps' results are multiplied, then biases are added.  In a
    decoder, maps share an encoder.  In an encoder model, whose maps may read x in different phases,
    each map has its own, because nothing stores the means of all tokens.
    """
    drawing, readers = Drawing(graph, graph.empty_like()), graph.readers()
    encoders = {node.name for node in graph if node.op == "encode"}
    encoders = {
        name for name in encoders if only_linear([graph[reader] for reader in readers[name]])
    }
    means: dict[str, Value] = {}
    for node in graph:
        if node.op == "linear" and node.inputs[0] in encoders:
            spikes = node.inputs[0] if graph.causal else f"{node.name}.spikes"
            with drawing.out.scope("", layer=node.layer):
                if spikes not in means:
                    means[spikes] = _relative(drawing, graph[node.inputs[0]], spikes)
                after = [graph[reader] for reader in readers[node.name]]
                _weighed(drawing, node, spikes, means[spikes], after)
        elif node.name not in encoders:
            drawing.out.nodes[node.name] = node
    verify(drawing.out, SPIKING)
    return drawing.out


def _relative(d: Drawing, node: Node, name: str) -> Value:
    """Draw `name`, the spikes of x / m; returns m = mean|x| + LEAST, |x| = 2 relu(x) - x."""
    x, share = Value(d.out, node.inputs[0]), 1.0 / node.size
    (axis,) = node.axes
    above = d.reduce(f"{name}.above", d.function(f"{name}.relu", x, "relu"), axis, 2 * share)
    size = d.total(f"{name}.size", above, d.reduce(f"{name}.sum", x, axis, share), (1, -1))
    mean = d.affine(f"{name}.mean", size, _constants(name, gain=1.0, bias=LEAST))
    part = d.product(f"{name}.relative", x, d.function(f"{name}.inverse", mean, "reciprocal"))
    d.out.draw(name, "encode", (part,), node.axes, node.attributes)
    return mean


def _weighed(d: Drawing, node: Node, spikes: str, mean: Value, readers: list[Node]) -> None:
    """m W s + bias; the product has the axes of the views that read it, if only views do."""
    axes: Axes = readers[0].axes if all(one.op == "view" for one in readers) else node.axes
    weights = dict(node.weights)
    bias, operands = weights.pop("bias", None), (Value(d.out, spikes),)
    counts = d.out.draw(
        f"{node.name}.relative", "linear", operands, node.axes, node.attributes, weights
    )
    counts = d.view(counts, axes, "heads")
    if bias is None:
        d.product(node.name, counts, mean)
        return
    whole = d.view(d.product(f"{node.name}.weighed", counts, mean), node.axes, "flat")
    d.affine(node.name, whole, {**_constants(node.name, gain=1.0), "bias": bias})


def _constants(name: str, **values: float) -> dict[str, Tensor]:
    return {key: Tensor.of(f"{name}.{key}", np.array([x], np.float32)) for key, x in values.items()}


SYSTEM = SdLlm

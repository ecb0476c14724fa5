"""SpikeLLM: saliency-based multi-step spiking (arXiv 2407.04752).

Inputs of linear maps have `bits` bits, salient channels add_bits more, sent by GIF neurons in
T = 2**add_bits graded spikes of up to 2**bits quanta each.  Ordinary channels count in units
2**add_bits coarser, so that all share their synapses: salient ones have smaller steps over the same
range.  Channels are salient by Optimal Brain Spiking (section 4.2 of the paper's code): the mean of
x * (x W^T W), largest share of channels.  Queries, keys and values have bits + add_bits bits.

Two things differ from the paper: scales are fixed by calibration (theirs are per token, which a
chip has no divider for), and codes are signed, q - zero point, so that zeros are silent and no
correction by the zero point is needed.  The range of each is found by search on measured error.
Weights: GPTQ at `weight_bits`, the clip of each row by search in the place of OmniQuant's learned
one, and evened-out channels in the place of its equivalent transform.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from las_neuro.checkpoint import Checkpoint
from las_neuro.codes import Code
from las_neuro.firing import Firing, graded
from las_neuro.graph import Graph
from las_neuro.systems import las
from las_neuro.systems.sites import best_unit, linear_inputs, with_weight_bits
from las_neuro.thresholds import MARGIN, Site

SPARE = 4  # binary digits of a query that are never sent
SALIENT = {1: 0.10, 2: 0.05}  # add_bits -> share of the channels


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class SpikeLlm:
    """SpikeLLM (arXiv 2407.04752): few-bit graded spikes; salient channels get more time steps.

    GIF neurons, channels chosen by Optimal Brain Spiking, weights of few bits.
    """

    steps: Literal[1, 2, 4] = 2  # T; 1 is the plain quantised model of the same bits
    bits: Annotated[int, Field(ge=2, le=7)] = 4  # of an ordinary activation
    weight_bits: Annotated[int, Field(ge=2, le=8)] = 4
    keys_and_values: bool = True  # few bits for them too
    published: bool = False  # GIF neurons as in the paper's code, which lose the top codes

    def spiking(self, model: Graph, checkpoint: Checkpoint | None = None) -> Graph:
        return with_weight_bits(las.spiking(model), self.weight_bits)

    def threshold(self, graph: Graph) -> Graph:
        coded = linear_inputs(graph, lambda node, site: self.code(site))
        if not self.keys_and_values:
            return coded
        out = graph.empty_like()
        readers = coded.readers()
        for node in coded:
            if node.op == "memory":
                node = replace(node, attrs={**node.attrs, "bits": self.bits + self.add_bits})
            elif node.op == "encode" and any(
                coded[name].op == "recall" and coded[name].attrs["axis"] == "d"
                for name in readers[node.name]
            ):
                node = replace(
                    node, attrs={**node.attrs, "code": self.query(node.attrs["code"], node.size)}
                )
            out.nodes[node.name] = node
        return out

    def query(self, code: Code, size: int) -> Code:
        """Queries at the base width, no outlier range; in payloads that scores can scale."""
        peak = code.theta * 2**code.outlier_shift / MARGIN
        digits = self.bits - 1 + SPARE
        skipped = np.full(size, SPARE, np.int64)
        return Code(digits, peak, form="graded", spread=code.spread, skipped=skipped)

    @property
    def add_bits(self) -> int:
        """Bits that a salient channel has more than the others."""
        return self.steps.bit_length() - 1

    def code(self, site: Site | None) -> Firing:
        steps, level = self.steps, 2**self.bits
        top = level * steps // 2 - 1  # of a salient channel: one bit goes to the sign
        if site is None:
            return graded(1.0, np.array([top]), steps, level)
        coarser = self.add_bits
        lift = np.where(salient(site, SALIENT.get(coarser, 0.0)), 0, coarser)
        high = top >> lift

        def trial(unit: float) -> Firing:
            wide = site.spread
            published = self.published
            return graded(unit, high, steps, level, lift=lift, spread=wide, published=published)

        return best_unit(site, float(top), trial)


def salient(site: Site, share: float) -> NDArray[np.bool_]:
    """The channels of highest mean x * (x W^T W): Optimal Brain Spiking's score."""
    score = (site.sample * (site.sample @ site.gram)).mean(axis=0)
    return np.asarray(score > np.quantile(score, 1 - share)) if share else score > np.inf

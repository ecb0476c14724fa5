"""SpikeLLM: saliency-based multi-step spiking (arXiv 2407.04752).

Inputs of linear maps have `bits` bits, salient channels add_bits more, sent by GIF neurons in
T = 2**add_bits graded spikes of up to 2**bits quanta each.  Ordinary channels count in units
2**add_bits coarser, so that all share their synapses: salient ones have smaller steps over the same
range.  Salient are the channels with the largest score of Optimal Brain Spiking (section 4.2, as in
the paper's code): the mean of x * (x W^T W).  Keys and values have salient channels, too, by the
same score with what they are multiplied by in the place of W; queries have `bits` bits.

Two things differ from the paper: scales are fixed by calibration (theirs are per token, which a
chip has no divider for), and codes are signed, q - zero point, so that a zero sends no spike and
needs no correction by the zero point.  Each site's range and zero point are found by search on the
measured error.  Weights have `weight_bits` bits: `omniquant`, with clips and scales learned block
by block as in the paper, then rounded to second order; or `gptq`, with both found by search.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from las_neuro.checkpoint import Checkpoint
from las_neuro.graph import Graph, Node
from las_neuro.neurons.codes import Code
from las_neuro.neurons.firing import Firing, graded
from las_neuro.neurons.thresholds import MARGIN, Site
from las_neuro.systems import las
from las_neuro.systems.sites import best_unit, linear_inputs, with_weight_bits

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Readers = Mapping[str, list[str]]  # node -> the nodes that read it

SPARE = 4  # binary digits of a query that are never sent
# zero points tried, as shares of all codes
ZEROS = (1 / 2, 1 / 3, 1 / 5, 1 / 10, 0, 2 / 3, 4 / 5, 9 / 10)
SALIENT = {1: 0.10, 2: 0.05}  # add_bits -> share of the channels


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class SpikeLlm:
    """SpikeLLM (arXiv 2407.04752): few-bit graded spikes; salient channels get more time steps.

    GIF neurons, channels chosen by Optimal Brain Spiking, weights of few bits.
    """

    steps: Literal[1, 2, 4] = 2  # T; 1 is the plain quantised model of the same bits
    bits: Annotated[int, Field(ge=2, le=7)] = 4  # of an ordinary activation
    weight_bits: Annotated[int, Field(ge=2, le=8)] = 4
    weights: Literal["omniquant", "gptq"] = "omniquant"
    keys_and_values: bool = True  # few bits for them, too
    published: bool = False  # GIF neurons as in the paper's code, which lose the top codes

    def spiking(self, model: Graph, checkpoint: Checkpoint | None = None) -> Graph:
        learned = {"learned_bits": self.bits} if self.weights == "omniquant" else {}
        return with_weight_bits(las.spiking(model), self.weight_bits, **learned)

    def threshold(self, graph: Graph) -> Graph:
        spiking = linear_inputs(graph, lambda node, site: self.code(site))
        if not self.keys_and_values:
            return spiking
        readers = spiking.readers()

        def few_bits(node: Node) -> Node:
            if node.op == "memory":
                return self.coded_memory(spiking, readers, node)
            recalls = [spiking[name] for name in readers[node.name] if spiking[name].op == "recall"]
            if node.op == "encode" and any(recall["axis"] == "d" for recall in recalls):
                return node.with_attributes(code=self.query(node["code"], node.size))
            return node

        return spiking.mapped(few_bits)

    def query(self, code: Code, size: int) -> Code:
        """Queries of `bits` bits, no outlier range; payloads from which scores can be rescaled."""
        peak = code.theta * 2**code.outlier_shift / MARGIN
        digits = self.bits - 1 + SPARE
        skipped = np.full(size, SPARE, np.int64)
        return Code(digits, peak, form="graded", spread=code.spread, skipped=skipped)

    def coded_memory(self, graph: Graph, readers: Readers, memory: Node) -> Node:
        """A memory whose ordinary channels have `bits` bits, with a range found by search."""
        bits, size = self.bits + self.add_bits, graph[memory.inputs[0]].size
        if memory.range is None or memory.range.sample is None:
            return memory.with_attributes(bits=bits, lift=np.full(size, self.add_bits))
        site, score = memory_site(graph, readers, memory)
        lift, top = self.lift(score), 2 ** (bits - 1) - 1
        code = best_unit(site, float(top), lambda x: graded(x, top >> lift, 1, top, lift=lift))
        return memory.with_attributes(bits=bits, lift=lift, unit=code.unit)

    def lift(self, score: Doubles) -> Ints:
        """How many binary digits coarser a channel's steps are: 0 for the salient, of top score."""
        least = np.quantile(score, 1 - SALIENT.get(self.add_bits, 0.0))
        return np.where(score > least, 0, self.add_bits)

    @property
    def add_bits(self) -> int:
        """How many more bits a salient channel has than the others."""
        return self.steps.bit_length() - 1

    def code(self, site: Site | None) -> Firing:
        steps, level = self.steps, 2**self.bits
        codes = level * steps - 1  # of a salient channel, without 0
        if site is None:
            return graded(1.0, np.array([codes // 2]), steps, level)
        lift = self.lift(saliency(site))

        def best(zero: int) -> Firing:
            """The best step with `zero` codes below 0."""

            def trial(unit: float) -> Firing:
                return graded(
                    unit,
                    (codes - zero) >> lift,
                    steps,
                    level,
                    low=-(zero >> lift),
                    lift=lift,
                    spread=site.spread,
                    published=self.published,
                )

            return best_unit(site, float(max(zero, codes - zero)), trial)

        zeros = {round(codes * share) for share in ZEROS}
        trials = [best(zero) for zero in sorted(zeros)]
        return min(trials, key=lambda code: float(site.errors(code).sum()))


def saliency(site: Site) -> Doubles:
    """Optimal Brain Spiking's score of each channel: the mean of x * (x W^T W)."""
    return np.asarray((site.sample * (site.sample @ site.gram)).mean(axis=0))


def memory_site(graph: Graph, readers: Readers, memory: Node) -> tuple[Site, Doubles]:
    """The site of a calibrated memory, and its channels' score: mean of x * (A^T A x), [k * d].

    A is what multiplies x.  Keys: k * (q^T q k), a head's keys with the queries of all heads that
    share them.  Values: v * (P^T P v) with softmax weights P; its mean over the tokens is that of
    (P v)**2, the squared outputs of attention.  Queries of its channel weight a key's error.
    """
    heads, size = memory.axes["h"] // memory["groups"], memory.axes["d"]
    sample, recall = _sample(memory), graph[readers[memory.name][0]]
    if recall["axis"] == "d":
        queries = _sample(graph[recall.inputs[1]]).reshape(-1, heads, memory["groups"], size)
        keys = sample.reshape(-1, heads, size)
        gram = np.einsum("tkgd,tkge->kde", queries, queries, optimize=True)
        score = np.einsum("tkd,kde,tke->kd", keys, gram, keys, optimize=True) / len(keys)
        weight = np.einsum("kdd->kd", gram)
    else:
        reader = recall
        while reader.op != "encode":
            reader = graph[readers[reader.name][0]]
        mixed = _sample(reader).reshape(-1, heads, memory["groups"], size)
        score = np.square(mixed).sum(axis=2).mean(axis=0)
        weight = np.ones_like(score)
    site = Site(sample, np.abs(sample).max(axis=0), None, weight.reshape(-1), 0.0)
    return site, np.asarray(score.reshape(-1))


def _sample(node: Node) -> Doubles:
    """The values that calibration sampled [tokens, n]."""
    assert node.range is not None
    assert node.range.sample is not None
    return node.range.sample.astype(np.float64)


SYSTEM = SpikeLlm

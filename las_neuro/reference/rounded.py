"""A float run of a spiking graph with some of its rounding, to measure what that rounding costs.

Encoders give what their spikes stand for, linear maps use their rounded weights, functions deviate
by the error that their tables state, with random signs of a fixed seed.  Units and stored keys and
values are rounded more finely, and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor as Torch

from las_neuro.graph import Graph, Node, Tensor
from las_neuro.neurons.codes import Code, decode, encode
from las_neuro.neurons.few_spikes import SubDomain, computed
from las_neuro.neurons.firing import Firing, decoded
from las_neuro.reference.interpret import RULES, Run
from las_neuro.rows import Rows

SEED = 0


@dataclass(frozen=True)
class Rounding:
    """Node name -> what rounds it.

    absolute, relative: how far a function's value deviates.  tables: functions that are computed
    by imported few-spikes tables.
    """

    codes: Mapping[str, Code | Firing] = field(default_factory=dict)
    weights: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    absolute: Mapping[str, float] = field(default_factory=dict)
    relative: Mapping[str, float] = field(default_factory=dict)
    tables: Mapping[str, Sequence[SubDomain]] = field(default_factory=dict)


class Probe:
    """Measures the error of the graph's output on a few sequences.

    Logits: mean KL divergence from the exact run, in nats per token.  Hidden states: mean of
    1 - cosine of each sequence's mean state.
    """

    def __init__(self, graph: Graph, batches: Sequence[Rows]) -> None:
        self.graph, self.batches = graph, batches
        self.waiting = {name: len(readers) for name, readers in graph.readers().items()}
        self.kind = next(node["kind"] for node in graph if node.op == "output")
        self.exact = [self._output(rows, Rounding()) for rows in batches]

    def error(self, rounding: Rounding) -> float:
        total, weight = 0.0, 0
        for rows, exact in zip(self.batches, self.exact, strict=True):
            measure = _divergence if self.kind != "hidden" else _cosine_error
            each = measure(exact, self._output(rows, rounding))
            total, weight = total + float(each.sum()), weight + each.numel()
        return total / weight

    def _output(self, rows: Rows, rounding: Rounding) -> Torch:
        run, waiting = Run(self.graph, rows, torch.float32), dict(self.waiting)
        generator = torch.Generator().manual_seed(SEED)
        values: dict[str, Torch] = {}
        for node in self.graph:
            if node.name in rounding.weights:
                node = replace(node, weights=rounding.weights[node.name])
            with torch.inference_mode():
                operands = [values[name] for name in node.inputs]
                if node.name in rounding.tables:
                    values[node.name] = _by_tables(rounding.tables[node.name], operands[0])
                else:
                    value = RULES[node.op](run, node, operands)
                    values[node.name] = _rounded(node, value, rounding, generator)
            for name in node.inputs:
                waiting[name] -= 1
                if not waiting[name]:
                    del values[name]
        last: Torch = value.double()
        return last


def _by_tables(domains: Sequence[SubDomain], x: Torch) -> Torch:
    return torch.from_numpy(computed(domains, x.double().numpy())).to(x.dtype)


def _rounded(node: Node, value: Torch, rounding: Rounding, generator: torch.Generator) -> Torch:
    """A node's value after its rounding."""
    if node.name in rounding.codes:
        code, exact = rounding.codes[node.name], value.flatten(2).double().numpy()
        if isinstance(code, Firing):
            values = decoded(code, exact)
        else:
            values = decode(code, *encode(code, exact))
        return torch.from_numpy(values).to(value.dtype).view_as(value)
    absolute = rounding.absolute.get(node.name, 0.0)
    relative = rounding.relative.get(node.name, 0.0)
    if absolute or relative:
        signs = torch.randint(0, 2, value.shape, generator=generator) * 2 - 1
        return value + signs * (absolute + relative * value)
    return value


def _divergence(exact: Torch, output: Torch) -> Torch:
    """KL divergence of every token [B, S], in nats."""
    p, q = exact.log_softmax(-1), output.log_softmax(-1)
    each: Torch = (p.exp() * (p - q)).sum(-1)
    return each


def _cosine_error(exact: Torch, output: Torch) -> Torch:
    """1 - cosine of each sequence's mean state [B]."""
    cosine: Torch = torch.nn.functional.cosine_similarity(exact.mean(1), output.mean(1), dim=-1)
    error: Torch = 1 - cosine
    return error


def rounded_weights(
    node: Node, value: NDArray[np.float64], bias: NDArray[np.float64] | None = None
) -> dict[str, Tensor]:
    """A linear map's weights for `Rounding`: `value` [n_post, n_pre]; bias None: its own."""
    weights = {**node.weights, "weight": Tensor.of(node.name, value.astype(np.float32))}
    if bias is not None:
        weights["bias"] = Tensor.of(node.name, bias.astype(np.float32))
    return weights

"""omniquant: row clips and channel scales learned block by block (OmniQuant, arXiv 2308.13137).

A block is one layer of the model.  Its inputs X' are the outputs of the quantised blocks before it;
its parameters are learned so that its output is near the float model's over all calibration tokens,

    min  mean (F(X) - F'(X'))^2

where F' has few-bit weights, and few-bit activations in every encoder that only linear maps read;
the gradients of both roundings are those of the identity.  The learned parameters are

    clip     of each row of weights: the share of its largest weight that is kept (a sigmoid)
    spread   of each channel between an encoder and its maps: a scale that the encoder divides by
             and the maps multiply by (the equivalent transform)
    step     of each encoder; dropped afterwards, because a system searches its own thresholds

Learning rates, initial values and the number of epochs are those of SpikeLLM's scripts
(arXiv 2407.04752).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor as Torch

from las_neuro.graph import Graph, Node
from las_neuro.progress import Progress, silent
from las_neuro.reference.interpret import RULES, Run
from las_neuro.rows import Rows

Doubles = NDArray[np.float64]
Values = dict[str, Torch]

EPOCHS = 20
SCALE_RATE, CLIP_RATE = 1e-3, 1e-2
MIGRATION = 0.75  # share of a channel's peak moved from activations to weights at the start
START = 4.0  # argument of a clip's sigmoid at the start: 98 %


def learn(graph: Graph, batches: Sequence[Rows], progress: Progress = silent) -> Graph:
    """The graph with learned spread [n] on encoders and clip [n_post] on linear maps.

    Only linear maps that set `learned_bits`, and the encoders they read, are learned; if there are
    none, the graph is returned unchanged.  batches: tokens [B, S], or patches [B, S, pixels].
    """
    if not any(_is_learned(node) for node in graph):
        return graph
    runs = [Run(graph, rows) for rows in batches]
    exact: list[Values] = [{} for _ in runs]
    real: list[Values] = [{} for _ in runs]
    learned: dict[str, Mapping[str, Doubles]] = {}
    blocks = _blocks(graph)
    for done, nodes in enumerate(blocks):
        progress("learn clips and scales", done, len(blocks))
        maps = [node for node in nodes if _is_learned(node)]
        outputs = _outputs(graph, nodes)
        with torch.no_grad():
            for run, values in zip(runs, exact, strict=True):
                _forward(run, nodes, values, RULES)
        if maps:
            block = Block.of(graph, maps)
            block.fit(runs, nodes, exact, real, outputs)
            learned |= block.learned()
        with torch.no_grad():
            for run, values in zip(runs, real, strict=True):
                _forward(run, nodes, values, block.rules() if maps else RULES)
        remaining = {name for later in blocks[done + 1 :] for node in later for name in node.inputs}
        for values in (*exact, *real):
            for name in set(values) - remaining:
                del values[name]
    progress("learn clips and scales", len(blocks), len(blocks))
    return graph.mapped(lambda node: node.with_attributes(**learned.get(node.name, {})))


def _is_learned(node: Node) -> bool:
    return node.op == "linear" and node["learned_bits"] is not None


@dataclass
class Block:
    """One block's parameters.

    scales, steps: logarithms of each encoder's channel scales [n] and step.  clips: the argument of
    each map's sigmoid [n_post, 1].
    """

    limit: int  # largest activation, in steps
    scales: dict[str, Torch]
    steps: dict[str, Torch]
    clips: dict[str, Torch]

    @staticmethod
    def of(graph: Graph, maps: Sequence[Node]) -> Block:
        limit = 2 ** (maps[0]["learned_bits"] - 1) - 1
        block = Block(limit, {}, {}, {node.name: _clip(node) for node in maps})
        for encoder in {node.inputs[0] for node in maps}:
            readers = [node for node in maps if node.inputs[0] == encoder]
            peaks = _peaks(graph[encoder])
            weights = np.concatenate([node.weights["weight"].load() for node in readers])
            start = peaks**MIGRATION / (np.abs(weights).max(axis=0) + 1e-8) ** (1 - MIGRATION)
            start = np.log(np.maximum(start, 1e-5))
            block.scales[encoder] = _parameter(start - start.mean())
            peak = float((peaks / np.exp(start - start.mean())).max())
            block.steps[encoder] = _parameter(np.log(max(peak, 1e-5) / limit))
        return block

    def rules(self) -> Mapping[str, Callable[[Run, Node, Sequence[Torch]], Torch]]:
        """The rules that compute the graph, with learned encoders and maps rounded."""
        return {**RULES, "encode": self._encode, "linear": self._linear}

    def fit(
        self,
        runs: Sequence[Run],
        nodes: Sequence[Node],
        exact: Sequence[Values],
        real: Sequence[Values],
        outputs: Sequence[str],
    ) -> None:
        """Train the parameters; exact: the float model's values, real: the quantised blocks'."""
        optimizer = torch.optim.AdamW(
            [
                {"params": [*self.scales.values()], "lr": SCALE_RATE},
                {"params": [*self.clips.values(), *self.steps.values()], "lr": CLIP_RATE},
            ],
            weight_decay=0.0,
        )
        for _ in range(EPOCHS):
            for run, target, inputs in zip(runs, exact, real, strict=True):
                values = dict(inputs)
                _forward(run, nodes, values, self.rules())
                losses = [
                    (values[name] - target[name]).square().mean() / (target[name].var() + 1e-12)
                    for name in outputs
                ]
                optimizer.zero_grad()
                torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
                optimizer.step()

    def learned(self) -> dict[str, Mapping[str, Doubles]]:
        """Node name -> its learned attributes: spread [n] or clip [n_post]."""
        spreads = {name: {"spread": _plain(scale.exp())} for name, scale in self.scales.items()}
        clips = {name: {"clip": _plain(clip.sigmoid()[:, 0])} for name, clip in self.clips.items()}
        return {**spreads, **clips}

    def _encode(self, run: Run, node: Node, operands: Sequence[Torch]) -> Torch:
        if node.name not in self.scales:
            return RULES["encode"](run, node, operands)
        x = operands[0]
        scale = (self.scales[node.name].exp() * self.steps[node.name].exp()).view(x.shape[2:])
        return _round(x / scale).clamp(-self.limit, self.limit) * scale

    def _linear(self, run: Run, node: Node, operands: Sequence[Torch]) -> Torch:
        if node.name not in self.clips:
            return RULES["linear"](run, node, operands)
        limit = 2 ** (node["weight_bits"] - 1) - 1
        scale = self.scales[node.inputs[0]].exp()
        weight = run.load(node.weights["weight"]) * scale
        step = weight.abs().amax(dim=1, keepdim=True) * self.clips[node.name].sigmoid() / limit
        step = step.clamp(min=1e-12)
        weight = _round(weight / step).clamp(-limit, limit) * step / scale
        bias = run.load(node.weights["bias"]) if "bias" in node.weights else None
        return torch.nn.functional.linear(operands[0], weight, bias)


def _round(x: Torch) -> Torch:
    """Rounded, with the gradient of the identity."""
    return x + (x.round() - x).detach()


def _forward(
    run: Run,
    nodes: Sequence[Node],
    values: Values,
    rules: Mapping[str, Callable[[Run, Node, Sequence[Torch]], Torch]],
) -> None:
    for node in nodes:
        values[node.name] = rules[node.op](run, node, [values[name] for name in node.inputs])


def _blocks(graph: Graph) -> list[list[Node]]:
    """Nodes by layer, in the layers' order; nodes of no layer come first."""
    layers = sorted({node.layer for node in graph})
    return [[node for node in graph if node.layer == layer] for layer in layers]


def _outputs(graph: Graph, nodes: Sequence[Node]) -> list[str]:
    """The values of one block that other blocks read."""
    own = {node.name for node in nodes}
    return sorted({name for n in graph if n.name not in own for name in n.inputs if name in own})


def _clip(node: Node) -> Torch:
    return _parameter(np.full((node.weights["weight"].shape[0], 1), START))


def _peaks(node: Node) -> Doubles:
    assert node.range is not None
    assert node.range.channel_peak is not None
    return np.maximum(node.range.channel_peak.astype(np.float64), 1e-5)


def _parameter(start: Doubles | float) -> Torch:
    return torch.tensor(start, dtype=torch.float32, requires_grad=True)


def _plain(x: Torch) -> Doubles:
    return np.asarray(x.detach().double())

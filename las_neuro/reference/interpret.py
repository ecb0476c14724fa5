"""Run a spiking graph in floating point: every encoder exact, so the result is the float model's.

Tests compare it with transformers; calibration reads every value.  B sequences of S tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor as Torch

from las_neuro.errors import PromptError
from las_neuro.graph import SLOTS, Axes, Graph, Node, Tensor
from las_neuro.neurons.firing import LEAK, decoded
from las_neuro.rows import Rows, Tokens

Rule = Callable[["Run", Node, Sequence[Torch]], Torch]


class Run:
    """What rules need besides their operands."""

    def __init__(
        self, graph: Graph, tokens: Rows, dtype: torch.dtype = torch.float32, start: int = 0
    ) -> None:
        """start: how many tokens of each sequence came before these, for a run in pieces."""
        self.graph, self.tokens, self.dtype, self.start = graph, tokens, dtype, start

    def load(self, weight: Tensor) -> Torch:
        """The weight, read now; the caller drops it, so that memory holds one node's weights."""
        return torch.from_numpy(weight.load()).to(self.dtype)

    def axes(self, node: Node, operand: int) -> Axes:
        return self.graph[node.inputs[operand]].axes

    def aligned(self, node: Node, operands: Sequence[Torch]) -> list[Torch]:
        """Operands with size-1 axes where they lack an axis of the result."""
        return [spread(x, self.axes(node, i), node.axes) for i, x in enumerate(operands)]


def interpret(
    graph: Graph, tokens: Rows, dtype: torch.dtype = torch.float32
) -> Iterator[tuple[Node, Torch]]:
    """Each node in order with its value [B, S, *axes]; a value is freed after its last reader.

    A memory's value is what each token wrote, [B, S, k, d]; an axis j has S entries, and in a
    causal graph those a token may not see have score -inf and weight 0.
    """
    _check_tokens(graph, tokens)
    run = Run(graph, tokens, dtype)
    waiting = {name: len(readers) for name, readers in graph.readers().items()}
    values: dict[str, Torch] = {}
    for node in graph:
        with torch.inference_mode():
            value = RULES[node.op](run, node, [values[name] for name in node.inputs])
        if waiting[node.name]:
            values[node.name] = value
        yield node, value
        del value
        for name in node.inputs:
            waiting[name] -= 1
            if not waiting[name]:
                del values[name]


def final(graph: Graph, tokens: Rows, dtype: torch.dtype = torch.float32) -> Torch:
    """The output node's value [B, S, c]: logits or hidden states."""
    result = None
    for node, value in interpret(graph, tokens, dtype):
        result = value if node.op == "output" else None
    if result is None:
        raise ValueError("the graph does not end in an output")
    return result


def spread(x: Torch, has: Axes, wants: Axes) -> Torch:
    """x [B, S, *has] -> [B, S, *wants], size 1 for each axis that x lacks."""
    for place, axis in enumerate(wants):
        if axis not in has:
            x = x.unsqueeze(2 + place)
    return x


def _check_tokens(graph: Graph, tokens: Rows) -> None:
    batch, length, *pixels = tokens.shape
    if pixels != [graph.pixels] * bool(graph.pixels):
        raise PromptError(
            f"{graph.family} reads {f'patches of {graph.pixels}' if graph.pixels else 'token ids'}"
            f", not values {list(tokens.shape)}",
            "give images to a vision model, text to the others",
        )
    if batch < 1 or not 1 <= length <= graph.context:
        raise PromptError(
            f"{batch} sequences of {length} tokens; the context is 1 to {graph.context}",
            "shorten the text or convert with a longer context",
        )
    if not pixels and (tokens.min() < 0 or tokens.max() >= graph.vocabulary):
        raise PromptError(
            f"token ids {tokens.min()} to {tokens.max()} leave 0 to {graph.vocabulary - 1}",
            "use this model's tokenizer",
        )


def _input(run: Run, node: Node, _: Sequence[Torch]) -> Torch:
    if node["source"] == "patch":
        return torch.from_numpy(run.tokens).to(run.dtype)
    batch, length = run.tokens.shape[:2]
    rows: Mapping[str, Tokens] = {
        "token": np.asarray(run.tokens, np.int64),
        "position": np.broadcast_to(run.start + np.arange(length), (batch, length)),
        "type": np.zeros((batch, length), np.int64),
    }
    values = node.weights["table"].load()[rows[node["source"]] + node["offset"]]
    return torch.from_numpy(values).to(run.dtype)


def _encode(run: Run, node: Node, operands: Sequence[Torch]) -> Torch:
    """Exact, except for neurons that the model was trained with: they are its activations."""
    if not node["trained"]:
        return operands[0]
    values = decoded(node["code"], operands[0].flatten(2).double().numpy())
    return torch.from_numpy(values).to(run.dtype).view_as(operands[0])


def _same(_: Run, __: Node, operands: Sequence[Torch]) -> Torch:
    """A memory's value is what each token wrote; that of a wait or the output is its operand."""
    return operands[0]


def _leak(_: Run, node: Node, operands: Sequence[Torch]) -> Torch:
    """SpikeLM's leak and reset, from what a neuron of this potential sends."""
    m, code = operands[0].double(), node["code"]
    spikes = torch.from_numpy(decoded(code, m.flatten(2).numpy())).view_as(m)
    rest: Torch = LEAK * m * (code.unit - spikes)
    return rest.to(operands[0].dtype)


def _linear(run: Run, node: Node, operands: Sequence[Torch]) -> Torch:
    bias = run.load(node.weights["bias"]) if "bias" in node.weights else None
    return F.linear(operands[0], run.load(node.weights["weight"]), bias)


def _affine(run: Run, node: Node, operands: Sequence[Torch]) -> Torch:
    product: Torch = operands[0] * run.load(node.weights["gain"])
    return product + run.load(node.weights["bias"]) if "bias" in node.weights else product


def _sum(run: Run, node: Node, operands: Sequence[Torch]) -> Torch:
    aligned = run.aligned(node, operands)
    total: Torch = aligned[0] * node["signs"][0]
    for x, sign in zip(aligned[1:], node["signs"][1:], strict=True):
        total = total + x * sign
    return total


def _reduce(run: Run, node: Node, operands: Sequence[Torch]) -> Torch:
    return operands[0].sum(dim=_place(run, node)) * float(node["factor"])


def _offset(_: Run, node: Node, operands: Sequence[Torch]) -> Torch:
    return operands[0] + float(node["constant"])


def _maximum(run: Run, node: Node, operands: Sequence[Torch]) -> Torch:
    return operands[0].amax(dim=_place(run, node))


def _place(run: Run, node: Node) -> int:
    return 2 + list(run.axes(node, 0)).index(node["axis"])


def _product(run: Run, node: Node, operands: Sequence[Torch]) -> Torch:
    a, b = run.aligned(node, operands)
    return a * b


def _square(_: Run, __: Node, operands: Sequence[Torch]) -> Torch:
    return operands[0] * operands[0]


def _exponential(run: Run, node: Node, operands: Sequence[Torch]) -> Torch:
    x, reference = run.aligned(node, operands)
    return torch.exp(x - reference)


def _function(_: Run, node: Node, operands: Sequence[Torch]) -> Torch:
    return FUNCTIONS[node["fn"]](operands[0])


def _turn(_: Run, node: Node, operands: Sequence[Torch]) -> Torch:
    x = operands[0]
    sign = torch.from_numpy(node["sign"]).to(x.dtype)
    return (x.flatten(2)[..., torch.from_numpy(node["index"])] * sign).view_as(x)


def _view(_: Run, node: Node, operands: Sequence[Torch]) -> Torch:
    x = operands[0]
    return x.reshape(*x.shape[:2], *node.axes.values())


def _recall(run: Run, node: Node, operands: Sequence[Torch]) -> Torch:
    """Axis d: memory [B, j, k, d], q [B, S, h, d] -> scores [B, S, h, j]; axis j: the transpose.

    j counts tokens here; a memory of fewer slots has forgotten the older ones.
    """
    memory, spikes = operands
    batch, length, heads, last = spikes.shape
    kv_heads = memory.shape[2]
    grouped = spikes.reshape(batch, length, kv_heads, heads // kv_heads, last)
    over_slots = node["axis"] == SLOTS
    form = "bskgj,bjkd->bskgd" if over_slots else "bskgd,bjkd->bskgj"
    result = torch.einsum(form, grouped, memory).flatten(2, 3) * float(node["factor"])
    if run.graph.causal and not over_slots:
        slots = memory.shape[1]  # more than S where earlier pieces wrote some
        every, now = torch.ones(length, slots, dtype=torch.bool), slots - length  # [S, j]
        unseen = every.triu(now + 1) | every.tril(now - node.axes[SLOTS])
        result = result.masked_fill(unseen[None, :, None], -torch.inf)
    return result


FUNCTIONS: Mapping[str, Callable[[Torch], Torch]] = MappingProxyType(
    {
        "gelu": F.gelu,
        "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
        "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
        "silu": F.silu,
        "tanh": torch.tanh,
        "logistic": torch.sigmoid,
        "relu": torch.relu,
        "reciprocal": torch.reciprocal,
        "inverse_sqrt": torch.rsqrt,
    }
)

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "input": _input,
        "encode": _encode,
        "leak": _leak,
        "linear": _linear,
        "affine": _affine,
        "sum": _sum,
        "reduce": _reduce,
        "offset": _offset,
        "product": _product,
        "square": _square,
        "function": _function,
        "exponential": _exponential,
        "maximum": _maximum,
        "turn": _turn,
        "view": _view,
        "memory": _same,
        "recall": _recall,
        "wait": _same,
        "output": _same,
    }
)

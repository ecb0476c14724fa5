"""LAS: loss-less conversion without training (arXiv 2505.09659).

`spiking` draws each model operator in spiking operators: activations enter linear maps through OAT
encoders, attention multiplies spikes with memories, norms and softmax become scalar functions (the
paper's HG neurons).  `Las.threshold` gives each OAT encoder its two thresholds.  The paper's are
set by hand (10 and 500 in its BERT); las_neuro.neurons.thresholds finds them by search.

Unlike the paper's code, softmax subtracts the exact row maximum and divides by the exact row sum:
the code's clamps (row sum at most 60, logits within 20 of the maximum) fail on long rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass as plain
from dataclasses import field
from types import MappingProxyType
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from las_neuro.checkpoint import Checkpoint
from las_neuro.graph import SLOTS, SPIKING, Axes, Floats, Graph, Node, Tensor, Value, verify
from las_neuro.neurons.codes import Code, largest_magnitude
from las_neuro.neurons.thresholds import Site, search, spared

Indices = NDArray[np.int64]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Las:
    """LAS (arXiv 2505.09659): loss-less conversion without training.

    OAT neurons send binary digits, outliers by a second neuron; HG neurons compute functions.
    """

    steps: Annotated[int, Field(ge=4, le=20)] = 16  # binary digits
    code: Literal["binary", "signed-digit", "graded"] = "binary"
    ranges: Annotated[int, Field(ge=1, le=2)] = 2  # normal and outlier, or the normal one alone
    channel_steps: bool = False  # each channel skips the digits that matter least

    def spiking(self, model: Graph, checkpoint: Checkpoint | None = None) -> Graph:
        return spiking(model)

    def threshold(self, graph: Graph) -> Graph:
        """The graph with a code for every encoder."""
        readers = graph.readers()

        def with_code(node: Node) -> Node:
            if node.op != "encode":
                return node
            code = self.code_of(node, [graph[name] for name in readers[node.name]])
            return node.with_attributes(code=code)

        return graph.mapped(with_code)

    def code_of(self, node: Node, readers: list[Node]) -> Code:
        """An encoder's code: self.steps digits, or those that an error budget gave the node.

        Softmax numerators lie in (0, 1] and are unsigned; their theta is 1, or the next value that
        makes their unit a power of two, so that the largest is not rounded beyond the digits.  In a
        graph without ranges (a plan) every theta is 1, which costs the same as any other.
        """
        digits = self.steps if node["digits"] is None else node["digits"]
        if not node["signed"]:
            levels = largest_magnitude(self.code, digits) + 1
            theta = levels / 2 ** (levels.bit_length() - 1)
            return Code(digits, theta, signed=False, form=self.code)
        if node.range is None or node.range.peak == 0.0:
            return Code(digits, theta=1.0, form=self.code)
        site = Site.of(node, readers)
        code = search(site, digits, self.code, self.ranges)
        return spared(site, code) if self.channel_steps else code


def spiking(model: Graph) -> Graph:
    """The model graph made spiking, names derived from the model's; encoders have no code yet."""
    drawing = Drawing(model, model.empty_like())
    for node in model:
        with drawing.out.scope("", layer=node.layer):
            drawing.values[node.name] = DRAW[node.op](drawing, node)
    verify(drawing.out, SPIKING)
    return drawing.out


@plain
class Drawing:
    """The spiking graph being drawn; values: model node -> the value that stands for it."""

    model: Graph
    out: Graph
    values: dict[str, Value] = field(default_factory=dict)

    def inputs(self, node: Node) -> list[Value]:
        """The node's operands as flat vectors {c}."""
        operands = [self.values[name] for name in node.inputs]
        return [self.view(value, {"c": self.out[value.name].size}, "flat") for value in operands]

    def heads(self, x: Value, axis: str, heads: int) -> Value:
        """x as {axis: heads, d}."""
        return self.view(x, {axis: heads, "d": self.out[x.name].size // heads}, "heads")

    def view(self, x: Value, axes: Axes, last_name: str) -> Value:
        """x under other axes, drawn once; x itself if it has these axes already."""
        if self.out.axes_of(x) == axes:
            return x
        earlier = self.out.nodes.get(f"{x.name}.{last_name}")
        if earlier is not None and earlier.axes == axes:
            return Value(self.out, earlier.name)
        return self.out.draw(f"{x.name}.{last_name}", "view", (x,), axes)

    def spikes(self, x: Value, signed: bool = True) -> Value:
        """x as a spike train, encoded once for all its readers."""
        name = f"{x.name}.spikes"
        if name in self.out.nodes:
            return Value(self.out, name)
        return self.out.draw(name, "encode", (x,), self.out.axes_of(x), {"signed": signed})

    def square(self, name: str, x: Value) -> Value:
        return self.out.draw(name, "square", (x,), self.out.axes_of(x))

    def product(self, name: str, x: Value, y: Value) -> Value:
        """x * y, y broadcast over the axes it lacks."""
        return self.out.draw(name, "product", (x, y), self.out.axes_of(x))

    def total(self, name: str, x: Value, y: Value, signs: tuple[int, int] = (1, 1)) -> Value:
        return self.out.draw(name, "sum", (x, y), self.out.axes_of(x), {"signs": signs})

    def reduce(self, name: str, x: Value, axis: str, factor: float) -> Value:
        """factor * sum of x over `axis`."""
        others = {key: size for key, size in self.out.axes_of(x).items() if key != axis}
        return self.out.draw(name, "reduce", (x,), others, {"axis": axis, "factor": factor})

    def offset(self, name: str, x: Value, constant: float) -> Value:
        return self.out.draw(name, "offset", (x,), self.out.axes_of(x), {"constant": constant})

    def function(self, name: str, x: Value, fn: str) -> Value:
        return self.out.draw(name, "function", (x,), self.out.axes_of(x), {"fn": fn})

    def affine(self, name: str, x: Value, weights: Mapping[str, Tensor]) -> Value:
        return self.out.draw(name, "affine", (x,), self.out.axes_of(x), None, weights)


def _embed(d: Drawing, node: Node) -> Value:
    return d.out.draw(node.name, "input", (), node.axes, node.attributes, node.weights)


def _add(d: Drawing, node: Node) -> Value:
    x, y = d.inputs(node)
    return d.total(node.name, x, y)


def _multiply(d: Drawing, node: Node) -> Value:
    x, y = d.inputs(node)
    return d.product(node.name, x, y)


def _linear(d: Drawing, node: Node) -> Value:
    (x,) = d.inputs(node)
    return d.out.draw(node.name, "linear", (d.spikes(x),), node.axes, None, node.weights)


def _layer_norm(d: Drawing, node: Node) -> Value:
    """gain (x - mean) / sqrt(variance + eps) + bias."""
    (x,) = d.inputs(node)
    mean = d.reduce(f"{node.name}.mean", x, "c", 1.0 / node.size)
    return _scaled(d, node, d.total(f"{node.name}.centred", x, mean, signs=(1, -1)))


def _rms_norm(d: Drawing, node: Node) -> Value:
    """gain x / sqrt(mean square + eps)."""
    (x,) = d.inputs(node)
    return _scaled(d, node, x)


def _scaled(d: Drawing, node: Node, x: Value) -> Value:
    """gain x / sqrt(mean square + eps) + bias, if there is a bias."""
    name, square = node.name, d.square(f"{node.name}.square", x)
    mean_square = d.reduce(f"{name}.mean_square", square, "c", 1.0 / node.size)
    variance = d.offset(f"{name}.variance", mean_square, node["eps"])
    inverse = d.function(f"{name}.inverse", variance, "inverse_sqrt")
    return d.affine(name, d.product(f"{name}.normal", x, inverse), node.weights)


def _rotate(d: Drawing, node: Node) -> Value:
    """x cos + half_turn(x) sin within each head, the angle taken from the token's position."""
    (x,) = d.inputs(node)
    name, heads = node.name, node["heads"]
    size, rotated = node.size // heads, node.weights["cos"].shape[1]
    x = d.heads(x, "h", heads)
    cos = _angles(d, node.weights["cos"], size, still=1.0)
    sin = _angles(d, node.weights["sin"], size, still=0.0)
    index, sign = half_turn(heads, size, rotated)
    half = {"index": index, "sign": sign}
    turned = d.out.draw(f"{name}.turned", "turn", (x,), d.out.axes_of(x), half)
    a, b = d.product(f"{name}.along", x, cos), d.product(f"{name}.across", turned, sin)
    return d.total(name, a, b)


def _angles(d: Drawing, table: Tensor, size: int, still: float) -> Value:
    """The position table as input [size], shared by all layers; `still` fills the rest."""
    if table.name in d.out.nodes:
        return Value(d.out, table.name)
    with d.out.scope("", layer=-1):
        weights = {"table": _widened(table, size, still)}
        return d.out.draw(table.name, "input", (), {"d": size}, {"source": "position"}, weights)


def _widened(table: Tensor, size: int, still: float) -> Tensor:
    rows, rotated = table.shape
    if rotated == size:
        return table

    def load() -> Floats:
        return np.pad(table.load(), ((0, 0), (0, size - rotated)), constant_values=still)

    return Tensor(table.name, (rows, size), load)


def half_turn(heads: int, size: int, rotated: int) -> tuple[Indices, Indices]:
    """index and sign [heads * size] of (x1, x2) -> (-x2, x1) in each head's first `rotated`."""
    index = np.arange(heads * size, dtype=np.int64).reshape(heads, size)
    sign = np.ones((heads, size), np.int64)
    half = rotated // 2
    index[:, :rotated] = np.roll(index[:, :rotated], half, axis=1)
    sign[:, :half] = -1
    return index.ravel(), sign.ravel()


def _attend(d: Drawing, node: Node) -> Value:
    """softmax(scale q k^T) v; the division by the row sum comes last, on d values and not on j."""
    q, k, v = (d.values[name] for name in node.inputs)
    name, heads, kv_heads = node.name, node["heads"], node["kv_heads"]
    q, k, v = d.heads(q, "h", heads), d.heads(k, "k", kv_heads), d.heads(v, "k", kv_heads)
    slots = node["window"]
    keys = _memory(d, f"{name}.keys", k, heads, slots)
    values = _memory(d, f"{name}.values", v, heads, slots)
    weights = _softmax_numerator(d, node, q, keys)
    spikes = d.spikes(weights, signed=False)
    row = d.reduce(f"{name}.total", spikes, SLOTS, 1.0)
    over_slots = {"axis": SLOTS, "factor": 1.0}
    mixed = d.out.draw(f"{name}.mixed", "recall", (values, spikes), d.out.axes_of(q), over_slots)
    out = d.product(f"{name}.out", mixed, d.function(f"{name}.inverse", row, "reciprocal"))
    return d.out.draw(name, "view", (out,), node.axes)


def _softmax_numerator(d: Drawing, node: Node, q: Value, keys: Value) -> Value:
    """exp(score - row maximum) {h, j}: in (0, 1], so its encoder needs no calibration."""
    name, heads = node.name, node["heads"]
    row = {"h": heads, SLOTS: node["window"]}
    over_width = {"axis": "d", "factor": node["scale"]}
    scores = d.out.draw(f"{name}.scores", "recall", (keys, d.spikes(q)), row, over_width)
    top = d.out.draw(f"{name}.top", "maximum", (scores,), {"h": heads}, {"axis": SLOTS})
    return d.out.draw(f"{name}.weights", "exponential", (scores, top), row)


def _memory(d: Drawing, name: str, x: Value, heads: int, slots: int) -> Value:
    """x {k, d} of the last `slots` tokens; each kv head is read by heads // k query heads."""
    kv_heads, size = d.out.axes_of(x).values()
    axes = {"h": heads, SLOTS: slots, "d": size}
    return d.out.draw(name, "memory", (x,), axes, {"groups": heads // kv_heads})


def _function(d: Drawing, node: Node) -> Value:
    (x,) = d.inputs(node)
    return d.function(node.name, x, node["fn"])


def _output(d: Drawing, node: Node) -> Value:
    (x,) = d.inputs(node)
    return d.out.draw(node.name, "output", (x,), node.axes, node.attributes)


DRAW: Mapping[str, Callable[[Drawing, Node], Value]] = MappingProxyType(
    {
        "embed": _embed,
        "add": _add,
        "multiply": _multiply,
        "linear": _linear,
        "layer_norm": _layer_norm,
        "rms_norm": _rms_norm,
        "rotate": _rotate,
        "attend": _attend,
        "function": _function,
        "output": _output,
    }
)


SYSTEM = Las

"""The dataflow graph: what `architectures/` draw, `systems/` make spiking and the compiler lowers.

A node maps named feature axes to named feature axes; the token axis is implicit and comes first.
Two vocabularies share the form.  MODEL_OPS is what a Transformer is drawn in.  SPIKING_OPS is what
a published method (`systems/`) turns it into: there every operator is a spike encoder, a linear map
of spikes, a memory, or a scalar function that compartments can compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Axes = dict[str, int]  # axis name -> size, in memory order, e.g. {"h": 8, "d": 64}

MODEL_OPS = {
    "embed",  # table [rows, D]; attrs: source "token" | "position" | "type", offset;
    # or no table, source "patch": the caller gives each token's values [pixels]
    "add",  # x + y
    "linear",  # weight [out, in], bias [out] or absent
    "layer_norm",  # gain [D], bias [D]; attrs: eps
    "rms_norm",  # gain [D]; attrs: eps
    "rotate",  # cos, sin [context, d_rot]; attrs: heads.  x -> x cos + half_turn(x) sin, per head
    "attend",  # q, k, v; attrs: heads, kv_heads, causal, scale, window
    "function",  # attrs: fn, one of ACTIVATIONS
    "multiply",  # x * y
    "output",  # attrs: kind "logits" | "hidden" | "classes"
}

SPIKING_OPS = {
    "input",  # host look-up; table [rows, n]; attrs: source, offset; or a patch, without table
    "encode",  # value -> spike train; attrs: code
    "linear",  # spike train -> value; weight, bias
    "leak",  # what a potential m leaves for the next pass: leak * m * (alpha - sent); attrs: code
    "affine",  # gain [n] * x + bias [n]
    "sum",  # sum_i sign_i x_i, operands broadcast over the axes they lack; attrs: signs
    "reduce",  # factor * sum of x over an axis; attrs: axis, factor
    "product",  # a * b, broadcast over the axes they lack
    "square",  # x * x
    "function",  # attrs: fn, one of FUNCTIONS
    "exponential",  # (x, reference) -> exp(x - reference), broadcast
    "maximum",  # maximum of x over an axis; attrs: axis
    "turn",  # out[i] = sign[i] * x[index[i]]; attrs: index, sign
    "view",  # the same flat values under other axes; no compute
    "memory",  # x [k, d] of token t goes to slot t % j: axes [h, j, d]; attrs: groups = h / k
    "recall",  # (memory, spike train): product summed over an axis; attrs: axis "d" | "j", factor
    "output",  # read-out by the host; attrs: kind
}

SLOTS = "j"  # the axis that counts the tokens a memory holds

ACTIVATIONS = {"gelu", "gelu_tanh", "quick_gelu", "silu", "tanh", "logistic", "relu"}
FUNCTIONS = ACTIVATIONS | {"reciprocal", "inverse_sqrt"}


@dataclass(frozen=True)
class Tensor:
    """A weight that stays on disk until `load` is called; `load` gives float32 [shape]."""

    name: str
    shape: tuple[int, ...]
    load: Callable[[], Floats] = field(repr=False, compare=False)

    @staticmethod
    def of(name: str, array: Floats) -> Tensor:
        """A small constant made here (cosines, folded gains), held in memory."""
        kept = np.ascontiguousarray(array, dtype=np.float32)
        return Tensor(name, kept.shape, lambda: kept)


@dataclass(frozen=True)
class Range:
    """What calibration saw of one value: largest |x|, the 0.999 quantile of |x|, smallest |x|."""

    peak: float
    q999: float
    least: float
    channel_peak: Floats | None = None  # largest |x| by channel [n], kept for encoders
    sample: Floats | None = None  # some tokens' values [tokens, n], of encoders and memories


@dataclass(frozen=True)
class Node:
    """One operator: `name = op(inputs)` with output `axes` (token axis left out)."""

    name: str
    op: str
    inputs: tuple[str, ...]
    axes: Axes
    attrs: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    layer: int = -1  # -1: before the first block; used for progress and streaming
    range: Range | None = None
    repetition: int = 0  # of a network that is repeated side by side, which repetition it is of
    original: str = ""  # the node whose value this one carries on to a later phase; "" for none

    @property
    def size(self) -> int:
        return int(np.prod(list(self.axes.values()), dtype=np.int64))

    def describe(self) -> str:
        """One line: the name first, so that two dumps diff well."""
        axes = " ".join(f"{axis}={size}" for axis, size in self.axes.items())
        shapes = "".join(f" {key}{list(t.shape)}" for key, t in self.weights.items())
        plain = {k: v for k, v in self.attrs.items() if not isinstance(v, np.ndarray)}
        attrs = "".join(f" {key}={value}" for key, value in plain.items())
        return f"{self.name}  {self.op}({', '.join(self.inputs)})  [{axes}]{shapes}{attrs}"


@dataclass(frozen=True)
class Value:
    """Handle of a node while a graph is drawn; `+` and `*` draw `add` and `multiply`."""

    graph: Graph
    name: str

    def __add__(self, other: Value) -> Value:
        return self.graph.add(self, other)

    def __mul__(self, other: Value) -> Value:
        return self.graph.multiply(self, other)


@dataclass
class Graph:
    """Nodes in topological order, and what the host must know to feed them."""

    family: str  # the checkpoint's model_type
    context: int  # most tokens in one sequence
    vocabulary: int  # 0 for a model that reads patches
    causal: bool  # tokens stream one by one; else layer by layer over the whole sequence
    nodes: dict[str, Node] = field(default_factory=dict)
    _scope: list[str] = field(default_factory=list)
    _layer: int = -1
    _repetition: int = 0

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    @contextmanager
    def scope(
        self, name: str, layer: int | None = None, repetition: int | None = None
    ) -> Iterator[None]:
        """Names drawn inside start with `name.` (where not empty).

        layer: number of the block; repetition: which of several runs of the network side by side.
        """
        before = self._layer, self._repetition
        self._scope.append(name)
        self._layer = before[0] if layer is None else layer
        self._repetition = before[1] if repetition is None else repetition
        try:
            yield
        finally:
            self._scope.pop()
            self._layer, self._repetition = before

    def draw(
        self,
        name: str,
        op: str,
        inputs: tuple[Value, ...],
        axes: Axes,
        attrs: Mapping[str, Any] | None = None,
        weights: Mapping[str, Tensor] | None = None,
    ) -> Value:
        """Append a node; its full name is the scope's path and `name`."""
        full = ".".join([*filter(None, self._scope), name])
        if full in self.nodes:
            raise ValueError(f"node {full} drawn twice")
        self.nodes[full] = Node(
            full,
            op,
            tuple(value.name for value in inputs),
            axes,
            attrs or {},
            weights or {},
            self._layer,
            repetition=self._repetition,
        )
        return Value(self, full)

    def axes_of(self, value: Value) -> Axes:
        return self.nodes[value.name].axes

    # The model vocabulary.  `name` is the node's last name; keep the checkpoint's own words.

    def embed(self, name: str, table: Tensor, source: str = "token", offset: int = 0) -> Value:
        """Row `id + offset` of `table` [rows, D], looked up by the host."""
        attrs = {"source": source, "offset": offset}
        return self.draw(name, "embed", (), {"c": table.shape[1]}, attrs, {"table": table})

    def patches(self, name: str, pixels: int) -> Value:
        """Each token's values, given by the caller in the place of tokens."""
        return self.draw(name, "embed", (), {"c": pixels}, {"source": "patch", "offset": 0})

    def add(self, x: Value, y: Value, name: str | None = None) -> Value:
        return self.draw(name or f"sum{len(self.nodes)}", "add", (x, y), self.axes_of(x))

    def multiply(self, x: Value, y: Value, name: str | None = None) -> Value:
        return self.draw(name or f"product{len(self.nodes)}", "multiply", (x, y), self.axes_of(x))

    def linear(self, name: str, x: Value, weight: Tensor, bias: Tensor | None = None) -> Value:
        """`weight` [out, in] @ x + `bias` [out]."""
        weights = {"weight": weight} | ({"bias": bias} if bias is not None else {})
        return self.draw(name, "linear", (x,), {"c": weight.shape[0]}, None, weights)

    def layer_norm(self, name: str, x: Value, gain: Tensor, bias: Tensor, eps: float) -> Value:
        weights = {"gain": gain, "bias": bias}
        return self.draw(name, "layer_norm", (x,), self.axes_of(x), {"eps": eps}, weights)

    def rms_norm(self, name: str, x: Value, gain: Tensor, eps: float) -> Value:
        return self.draw(name, "rms_norm", (x,), self.axes_of(x), {"eps": eps}, {"gain": gain})

    def rotate(self, name: str, x: Value, cos: Tensor, sin: Tensor, heads: int) -> Value:
        """Rotary positions (RoFormer, eq. 34, half-turn layout); cos, sin [context, d_rot]."""
        weights = {"cos": cos, "sin": sin}
        return self.draw(name, "rotate", (x,), self.axes_of(x), {"heads": heads}, weights)

    def attend(
        self,
        name: str,
        q: Value,
        k: Value,
        v: Value,
        heads: int,
        kv_heads: int,
        scale: float,
        window: int | None = None,
    ) -> Value:
        """softmax(scale q k^T) v; causal where the graph is; q [h*d], k and v [kv*d].

        window: a token sees itself and the window - 1 before it; None: all that the graph allows.
        """
        attrs = {"heads": heads, "kv_heads": kv_heads, "scale": scale, "causal": self.causal}
        attrs["window"] = min(window or self.context, self.context)
        return self.draw(name, "attend", (q, k, v), self.axes_of(q), attrs)

    def function(self, name: str, x: Value, fn: str) -> Value:
        return self.draw(name, "function", (x,), self.axes_of(x), {"fn": fn})

    def output(self, x: Value, kind: str) -> Value:
        """`kind`: what the host makes of it.

        "logits": argmax or sampling; "hidden": pooled by the caller; "classes": the first token's
        are the answer.
        """
        return self.draw("output", "output", (x,), self.axes_of(x), {"kind": kind})

    # What passes ask.

    @property
    def pixels(self) -> int:
        """Values of a patch where the model reads patches, 0 where it reads tokens."""
        return next((node.size for node in self if node.attrs.get("source") == "patch"), 0)

    def readers(self) -> dict[str, list[str]]:
        """Node name -> names of the nodes that read it."""
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for node in self:
            for source in node.inputs:
                found[source].append(node.name)
        return found

    def empty_like(self) -> Graph:
        return Graph(self.family, self.context, self.vocabulary, self.causal)

    def with_ranges(self, ranges: Mapping[str, Range]) -> Graph:
        """The same graph with what calibration measured."""
        graph = self.empty_like()
        for node in self:
            graph.nodes[node.name] = replace(node, range=ranges.get(node.name, node.range))
        return graph

    def text(self) -> str:
        return "\n".join(node.describe() for node in self)

    def check(self, vocabulary: set[str]) -> None:
        """Raise `ValueError` (a bug) on an unknown operator or an input drawn later."""
        seen: set[str] = set()
        for node in self:
            unknown = [name for name in node.inputs if name not in seen]
            if node.op not in vocabulary or unknown:
                raise ValueError(f"bad node {node.describe()}; unknown inputs {unknown}")
            seen.add(node.name)

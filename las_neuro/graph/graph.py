"""Graph: `architectures/` draw it, `systems/` make it spiking, the compiler lowers it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from las_neuro.graph.node import Axes, Node, Range, Tensor


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
    """Nodes in topological order, and what the host must know to supply their inputs."""

    family: str  # the checkpoint's model_type
    context: int  # largest number of tokens in one sequence
    vocabulary: int  # 0 for a model that reads patches
    causal: bool  # tokens run one by one; else every layer runs over the whole sequence
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
        """Names of nodes drawn inside start with `name.`, unless it is empty.

        layer: number of the block.  repetition: which of the network's copies side by side.
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
        attributes: Mapping[str, Any] | None = None,
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
            attributes or {},
            weights or {},
            self._layer,
            repetition=self._repetition,
        )
        return Value(self, full)

    def axes_of(self, value: Value) -> Axes:
        return self.nodes[value.name].axes

    # Operators of a model graph.  `name`: the last part of the node's name, as in the checkpoint.

    def embed(self, name: str, table: Tensor, source: str = "token", offset: int = 0) -> Value:
        """Row `id + offset` of `table` [rows, D], looked up by the host."""
        look_up = {"source": source, "offset": offset}
        return self.draw(name, "embed", (), {"c": table.shape[1]}, look_up, {"table": table})

    def patches(self, name: str, pixels: int) -> Value:
        """The `pixels` values that the caller supplies for each token in the place of its id."""
        return self.draw(name, "embed", (), {"c": pixels}, {"source": "patch"})

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
        """softmax(scale q k^T) v, causal if the graph is; q [h*d], k and v [kv*d].

        window: a token attends to itself and the window - 1 before it; None: the whole context.
        """
        attributes = {
            "heads": heads,
            "kv_heads": kv_heads,
            "causal": self.causal,
            "scale": scale,
            "window": min(window or self.context, self.context),
        }
        return self.draw(name, "attend", (q, k, v), self.axes_of(q), attributes)

    def function(self, name: str, x: Value, fn: str) -> Value:
        return self.draw(name, "function", (x,), self.axes_of(x), {"fn": fn})

    def output(self, x: Value, kind: str) -> Value:
        """The result; kind: how the host uses it.

        "logits": argmax or sampling; "hidden": pooled by the caller; "classes": those of the first
        token are the answer.
        """
        return self.draw("output", "output", (x,), self.axes_of(x), {"kind": kind})

    # What the compiler's passes ask of a graph.

    @property
    def pixels(self) -> int:
        """Values of a patch where the model reads patches, 0 where it reads tokens."""
        inputs = (node for node in self if node.op in ("embed", "input"))
        return next((node.size for node in inputs if node["source"] == "patch"), 0)

    def readers(self) -> dict[str, list[str]]:
        """Node name -> names of the nodes that read it."""
        readers: dict[str, list[str]] = {name: [] for name in self.nodes}
        for node in self:
            for source in node.inputs:
                readers[source].append(node.name)
        return readers

    def empty_like(self) -> Graph:
        return Graph(self.family, self.context, self.vocabulary, self.causal)

    def mapped(self, change: Callable[[Node], Node]) -> Graph:
        """The same graph with `change` applied to every node."""
        graph = self.empty_like()
        for node in self:
            graph.nodes[node.name] = change(node)
        return graph

    def with_ranges(self, ranges: Mapping[str, Range]) -> Graph:
        """The same graph with calibrated ranges; ranges: by node name."""
        return self.mapped(lambda node: replace(node, range=ranges.get(node.name, node.range)))

    def text(self) -> str:
        return "\n".join(node.describe() for node in self)

"""verify: the rules that a graph of each level obeys; checked after every compiler pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from las_neuro.graph.attributes import LEVELS, MODEL
from las_neuro.graph.graph import Graph
from las_neuro.graph.node import SLOTS, Axes, Node
from las_neuro.graph.ops import ACTIVATIONS, OPS

# A node and the nodes it reads -> what is wrong, in words that follow the node's name.
Rule = Callable[[Node, Sequence[Node]], Iterator[str]]


def verify(graph: Graph, level: str) -> None:
    """Raise `ValueError` (a bug) naming the first node that a graph of `level` may not hold.

    Rules for a single node are checked when it is constructed (`Node`).  Here: the level has these
    operators and attributes, operands are drawn before their readers, axes and weights fit.
    """
    earlier: dict[str, Node] = {}
    for node in graph:
        fault = next(_faults(graph, node, level, earlier), "")
        if fault:
            raise ValueError(f"{level} graph, node {node.describe()}: {fault}")
        earlier[node.name] = node


def _faults(graph: Graph, node: Node, level: str, earlier: Mapping[str, Node]) -> Iterator[str]:
    op = OPS[node.op]
    if graph.nodes.get(node.name) is not node:
        yield "is listed under another name"
    if level not in op.levels:
        yield f"{node.op} is of {' and '.join(op.levels)} graphs"
    unknown = [name for name in node.inputs if name not in earlier]
    if unknown:
        yield f"reads {', '.join(unknown)}, not drawn before it"
    for name, attribute in op.attributes.items():
        if name in node.attributes and LEVELS.index(attribute.since) > LEVELS.index(level):
            yield f"sets {name}, which {attribute.since} graphs have"
        due = attribute.by is not None and LEVELS.index(attribute.by) <= LEVELS.index(level)
        if due and name not in node.attributes:
            yield f"does not set {name}"
    if level == MODEL and node.op == "function" and node["fn"] not in ACTIVATIONS:
        yield f"computes {node['fn']}, which is no activation"
    if node.op in RULES:
        yield from RULES[node.op](node, [earlier[name] for name in node.inputs])


def _same_size(node: Node, operands: Sequence[Node]) -> Iterator[str]:
    for operand in operands:
        if operand.size != node.size:
            yield f"has {node.size} values and reads {operand.size} of {operand.name}"


def _broadcast(node: Node, operands: Sequence[Node]) -> Iterator[str]:
    for operand in operands:
        if not operand.axes.items() <= node.axes.items():
            yield f"{operand.name} has axes {_text(operand.axes)}, which do not spread over its own"


def _signed(node: Node, operands: Sequence[Node]) -> Iterator[str]:
    if len(node["signs"]) != len(operands):
        yield f"has {len(node['signs'])} signs for {len(operands)} operands"
    yield from _broadcast(node, operands)


def _without_axis(node: Node, operands: Sequence[Node]) -> Iterator[str]:
    (x,) = operands
    others = {axis: size for axis, size in x.axes.items() if axis != node["axis"]}
    if node["axis"] not in x.axes or others != node.axes:
        yield f"does not have the axes of {x.name}, {_text(x.axes)}, without {node['axis']}"


def _linear(node: Node, operands: Sequence[Node]) -> Iterator[str]:
    shapes = {"weight": (node.size, operands[0].size), "bias": (node.size,)}
    yield from _shapes(node, shapes)


def _channels(node: Node, operands: Sequence[Node]) -> Iterator[str]:
    """Weights have one value per channel, or one for all."""
    yield from _same_size(node, operands)
    for name, weight in node.weights.items():
        if weight.shape not in ((node.size,), (1,)):
            yield f"its {name} is {list(weight.shape)}"


def _table(node: Node, _: Sequence[Node]) -> Iterator[str]:
    if (node["source"] == "patch") == ("table" in node.weights):
        yield "has either a table or patches"
    if "table" in node.weights and node.weights["table"].shape[1] != node.size:
        yield f"its table is {list(node.weights['table'].shape)}"


def _shapes(node: Node, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[str]:
    for name, weight in node.weights.items():
        if weight.shape != shapes[name]:
            yield f"its {name} is {list(weight.shape)} and not {list(shapes[name])}"


def _turn(node: Node, operands: Sequence[Node]) -> Iterator[str]:
    yield from _same_size(node, operands)
    if not len(node["index"]) == len(node["sign"]) == node.size:
        yield f"turns {len(node['index'])} values by {len(node['sign'])} signs"


def _memory(node: Node, operands: Sequence[Node]) -> Iterator[str]:
    heads, width = operands[0].axes.get("k", 0), operands[0].axes.get("d", 0)
    if list(node.axes) != ["h", SLOTS, "d"]:
        yield f"does not have the axes h, {SLOTS} and d"
    elif (node.axes["h"], node.axes["d"]) != (heads * node["groups"], width):
        yield f"does not hold {node['groups']} times {_text(operands[0].axes)}"


def _recall(node: Node, operands: Sequence[Node]) -> Iterator[str]:
    memory, spikes = operands
    both = {**memory.axes, **spikes.axes}
    others = {axis: size for axis, size in both.items() if axis != node["axis"]}
    if memory.op != "memory" or node["axis"] not in ("d", SLOTS) or others != node.axes:
        yield f"is not {memory.name} times {spikes.name} summed over {node['axis']}"


def _attend(node: Node, operands: Sequence[Node]) -> Iterator[str]:
    q, k, v = operands
    if q.size != node.size or k.size != v.size:
        yield f"has {node.size} values of {q.size} queries, {k.size} keys and {v.size} values"
    if k.size * node["heads"] != q.size * node["kv_heads"]:
        yield f"has heads of {q.size} values in q and of {k.size} in k that are not alike"


def _text(axes: Axes) -> str:
    return "{" + ", ".join(f"{axis}={size}" for axis, size in axes.items()) + "}"


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("embed", "input"), _table),
    **dict.fromkeys(("layer_norm", "rms_norm", "affine"), _channels),
    **dict.fromkeys(("add", "multiply", "rotate", "function", "encode", "leak"), _same_size),
    **dict.fromkeys(("square", "offset", "view", "wait", "output"), _same_size),
    **dict.fromkeys(("product", "exponential"), _broadcast),
    **dict.fromkeys(("reduce", "maximum"), _without_axis),
    "sum": _signed,
    "linear": _linear,
    "turn": _turn,
    "memory": _memory,
    "recall": _recall,
    "attend": _attend,
}

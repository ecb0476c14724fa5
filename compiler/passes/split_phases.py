"""split_phases: cut an encoder model's graph where attention must wait for the whole sequence.

Needs: a spiking graph.  Leaves: a phase on every node, and a `wait` node wherever a value of one
phase is read in a later one.  Changes no result.  A decoder has a single phase: each token reads
its memories right after it wrote them.

All tokens run through phase p before any enters p + 1.  A recall runs one phase after its memory
is written; all other nodes run as late as their readers allow, so that the residual stream is the
only value that waits.  Encoder nodes and host inputs are repeated in a phase rather than stored.
"""

from __future__ import annotations

from dataclasses import replace

from compiler.passes.contract import Pass
from compiler.task import Task
from las_neuro.graph import Graph, Node


def split_phases(graph: Graph, task: Task) -> Graph:
    """The graph with numbered phases and the waits between them."""
    phases = dict.fromkeys(graph.nodes, 0) if graph.causal else _latest(graph, _earliest(graph))
    out = graph.empty_like()
    for node in graph:
        phase = phases[node.name]
        inputs = tuple(
            _bring(out, graph.nodes[source], phases[source], phase, reader=node)
            for source in node.inputs
        )
        _add(out, node, inputs, phase)
    return out


def _earliest(graph: Graph) -> dict[str, int]:
    """First phase that each node can run in: a recall runs one phase after its memory."""
    phases: dict[str, int] = {}
    for node in graph:
        after = [phases[name] for name in node.inputs]
        if node.op == "recall":
            after[0] += 1
        phases[node.name] = max(after, default=0)
    return phases


def _latest(graph: Graph, phases: dict[str, int]) -> dict[str, int]:
    """Move each node as late as its readers allow; memories stay in their earliest phase."""
    readers = graph.readers()
    for name in reversed(list(graph.nodes)):
        if graph.nodes[name].op in ("memory", "output") or not readers[name]:
            continue
        latest = [
            phases[r] - (graph.nodes[r].op == "recall" and graph.nodes[r].inputs[0] == name)
            for r in readers[name]
        ]
        phases[name] = max(phases[name], min(latest))
    return phases


def _bring(out: Graph, source: Node, first: int, phase: int, reader: Node) -> str:
    """Name of the node with the value of `source` in the phase of `reader`; added if necessary.

    first: phase of `source`.  phase: of `reader`.
    """
    if first == phase or (reader.op == "recall" and source.name == reader.inputs[0]):
        return source.name
    name = f"{source.name}@{phase}"
    if name in out.nodes:
        return name
    original = out.nodes[source.name]
    if source.op in ("input", "encode", "view"):
        inputs = tuple(
            _bring(out, out.nodes[i], out.nodes[i]["phase"], phase, original)
            for i in original.inputs
        )
        _add(out, replace(original, name=name, original=source.name), inputs, phase)
        return name
    waiting = Node(
        name,
        "wait",
        (source.name,),
        source.axes,
        layer=reader.layer,
        range=source.range,
        repetition=source.repetition,
        original=source.name,
    )
    _add(out, waiting, (source.name,), phase)
    return name


def _add(out: Graph, node: Node, inputs: tuple[str, ...], phase: int) -> None:
    out.nodes[node.name] = replace(node, inputs=inputs).with_attributes(phase=phase)


PASS = Pass(split_phases, "spiking", "phased", needs=("codes",), leaves=("phases",))

"""split_phases: cut an encoder's graph where attention must wait for the whole sequence.

Needs: a SpikingGraph.  Leaves: every node with its phase, and a `wait` node wherever a value of
one phase is read in a later one.  Changes no result.  A decoder stays one phase: its memories
are read by the token that wrote last.

All tokens run through phase p before any enters p + 1.  A recall comes one phase after its memory
is written; everything else is done as late as its readers allow, so that the residual stream is the
only value that waits.  Encoders and host inputs are repeated rather than stored.
"""

from __future__ import annotations

from dataclasses import replace

from compiler.passes.contract import Pass
from compiler.task import Task
from las_neuro.graph import Graph, Node


def split_phases(graph: Graph, task: Task) -> Graph:
    """Number the phases and insert the waits."""
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
    """First phase each node can run in: a recall follows its memory by one."""
    phases: dict[str, int] = {}
    for node in graph:
        after = [phases[name] for name in node.inputs]
        if node.op == "recall":
            after[0] += 1
        phases[node.name] = max(after, default=0)
    return phases


def _latest(graph: Graph, phases: dict[str, int]) -> dict[str, int]:
    """Move each node as late as its readers allow; memories stay where their value is ready."""
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


def _bring(out: Graph, source: Node, written: int, read: int, reader: Node) -> str:
    """Name under which `reader` finds the value of `source` in its own phase."""
    if written == read or (reader.op == "recall" and source.name == reader.inputs[0]):
        return source.name
    name = f"{source.name}@{read}"
    if name in out.nodes:
        return name
    original = out.nodes[source.name]
    if source.op in ("input", "encode", "view"):
        inputs = tuple(
            _bring(out, out.nodes[i], out.nodes[i]["phase"], read, original)
            for i in original.inputs
        )
        _add(out, replace(original, name=name, original=source.name), inputs, read)
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
    _add(out, waiting, (source.name,), read)
    return name


def _add(out: Graph, node: Node, inputs: tuple[str, ...], phase: int) -> None:
    out.nodes[node.name] = replace(node, inputs=inputs).with_attributes(phase=phase)


PASS = Pass(split_phases, "spiking", "phased", needs=("codes",), leaves=("phases",))

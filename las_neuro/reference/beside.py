"""Run a spiking graph exactly and, beside it, with linear maps replaced as they are reached.

So that whoever replaces one sees what it will really be given: inputs that carry the error of every
replacement before it.  All calibration batches go through node by node, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor as Torch

from las_neuro.graph import Floats, Graph, Node, Tensor
from las_neuro.reference.interpret import RULES, Run
from las_neuro.rows import Rows

# (linear node, its exact inputs, its real inputs, both [tokens, n], what the value it is added to
# has lost so far [tokens, n_post] or None) -> its new weights
Replace = Callable[[Node, Floats, Floats, Floats | None], Mapping[str, Tensor]]


def run_beside(graph: Graph, batches: Sequence[Rows], replaced: Replace) -> None:
    """Call `replaced` for every linear map, in order; the values of a node live to its last reader.

    Memory: both runs of all batches, of the nodes still to be read.
    """
    runs = [Run(graph, rows, torch.float32) for rows in batches]
    readers = graph.readers()
    waiting = {name: len(names) for name, names in readers.items()}
    exact: dict[str, list[Torch]] = {}
    real: dict[str, list[Torch]] = {}
    for node in graph:
        changed = node
        if node.op == "linear":
            source, beside = node.inputs[0], _added_to(graph, readers, node.name)
            lost = None
            if beside in real and real[beside] is not exact[beside]:
                lost = _rows(exact[beside]) - _rows(real[beside])
            weights = replaced(node, _rows(exact[source]), _rows(real[source]), lost)
            changed = replace(node, weights=weights)
        for kept, rule_of in ((exact, node), (real, changed)):
            if kept is real and all(real[name] is exact[name] for name in node.inputs):
                if changed is node:  # nothing was replaced yet on the way here
                    real[node.name] = exact[node.name]
                    continue
            with torch.inference_mode():
                kept[node.name] = [
                    RULES[node.op](run, rule_of, [kept[name][i] for name in node.inputs])
                    for i, run in enumerate(runs)
                ]
        for name in (node.name, *node.inputs):
            waiting[name] -= name != node.name
            if not waiting[name]:
                exact.pop(name, None)
                real.pop(name, None)


def _added_to(graph: Graph, readers: Mapping[str, list[str]], name: str) -> str:
    """The residual stream that a value is only added to; "" where it is used otherwise."""
    if len(readers[name]) != 1:
        return ""
    reader = graph[readers[name][0]]
    if reader.op == "view":
        return _added_to(graph, readers, reader.name)
    if reader.op == "sum" and reader["signs"] == (1, 1):
        return next((other for other in reader.inputs if other != name), "")
    return ""


def _rows(batches: list[Torch]) -> Floats:
    """All tokens of all batches [tokens, n]."""
    rows: Floats = torch.cat([x.flatten(0, 1).flatten(1) for x in batches]).numpy()
    return rows

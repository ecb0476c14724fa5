"""Run a spiking graph exactly and, beside it, with linear maps replaced one after another.

A caller that replaces a map thus gets its real inputs, which carry the error of all earlier
replacements.  All calibration batches run through the graph once, node by node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor as Torch

from las_neuro.graph import Floats, Graph, Node, Tensor
from las_neuro.reference.interpret import RULES, Run
from las_neuro.rows import Rows

# (linear node, its exact inputs, its real inputs, both [tokens, n], exact minus real value of the
# residual stream that its output is added to [tokens, n_post] or None) -> its new weights
Replace = Callable[[Node, Floats, Floats, Floats | None], Mapping[str, Tensor]]


def run_beside(graph: Graph, batches: Sequence[Rows], new_weights: Replace) -> None:
    """Call `new_weights` for every linear map, in order.

    Memory holds both values of each node, for all batches, until its last reader has run.
    """
    runs = [Run(graph, rows, torch.float32) for rows in batches]
    readers = graph.readers()
    waiting = {name: len(names) for name, names in readers.items()}
    exact: dict[str, list[Torch]] = {}
    real: dict[str, list[Torch]] = {}
    for node in graph:
        real_node = node
        if node.op == "linear":
            source, beside = node.inputs[0], _residual(graph, readers, node.name)
            error = None
            if beside in real and real[beside] is not exact[beside]:
                error = _rows(exact[beside]) - _rows(real[beside])
            weights = new_weights(node, _rows(exact[source]), _rows(real[source]), error)
            real_node = replace(node, weights=weights)
        for values, rule_of in ((exact, node), (real, real_node)):
            if values is real and all(real[name] is exact[name] for name in node.inputs):
                if real_node is node:  # no map before it was replaced
                    real[node.name] = exact[node.name]
                    continue
            with torch.inference_mode():
                values[node.name] = [
                    RULES[node.op](run, rule_of, [values[name][i] for name in node.inputs])
                    for i, run in enumerate(runs)
                ]
        for name in (node.name, *node.inputs):
            waiting[name] -= name != node.name
            if not waiting[name]:
                exact.pop(name, None)
                real.pop(name, None)


def _residual(graph: Graph, readers: Mapping[str, list[str]], name: str) -> str:
    """The residual stream to which a value is added; "" if it is used in any other way."""
    if len(readers[name]) != 1:
        return ""
    reader = graph[readers[name][0]]
    if reader.op == "view":
        return _residual(graph, readers, reader.name)
    if reader.op == "sum" and reader["signs"] == (1, 1):
        return next((other for other in reader.inputs if other != name), "")
    return ""


def _rows(batches: list[Torch]) -> Floats:
    """All tokens of all batches [tokens, n]."""
    rows: Floats = torch.cat([x.flatten(0, 1).flatten(1) for x in batches]).numpy()
    return rows

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
from las_neuro.reference.interpret import RULES, Rows, Run

# (linear node, its exact inputs, its real inputs), both [tokens, n] -> its new weights
Replace = Callable[[Node, Floats, Floats], Mapping[str, Tensor]]


def run_beside(graph: Graph, batches: Sequence[Rows], replaced: Replace) -> None:
    """Call `replaced` for every linear map, in order; the values of a node live to its last reader.

    Memory: both runs of all batches, of the nodes still to be read.
    """
    runs = [Run(graph, rows, torch.float32) for rows in batches]
    waiting = {name: len(readers) for name, readers in graph.readers().items()}
    exact: dict[str, list[Torch]] = {}
    real: dict[str, list[Torch]] = {}
    for node in graph:
        changed = node
        if node.op == "linear":
            source = node.inputs[0]
            weights = replaced(node, _rows(exact[source]), _rows(real[source]))
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


def _rows(batches: list[Torch]) -> Floats:
    """All tokens of all batches [tokens, n]."""
    rows: Floats = torch.cat([x.flatten(0, 1).flatten(1) for x in batches]).numpy()
    return rows

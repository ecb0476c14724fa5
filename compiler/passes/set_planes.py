"""set_planes: how many int8 planes each linear map's weights are made of, one number for all.

Stored keys and values get bits to match.  An error budget chooses the planes map by map instead.
"""

from __future__ import annotations

from dataclasses import replace

from compiler.passes.contract import Pass
from compiler.task import Task
from las_neuro.graph import Graph

PLANED = ("linear", "memory")


def set_planes(graph: Graph, task: Task) -> Graph:
    """The attribute `planes` on every linear map and memory."""
    planed = graph.empty_like()
    for node in graph:
        if node.op in PLANED:
            node = replace(node, attrs={**node.attrs, "planes": task.options.weight_planes})
        planed.nodes[node.name] = node
    return planed


PASS = Pass(
    set_planes,
    "spiking",
    "spiking",
    needs=("encoders",),
    leaves=("planes",),
    applies=lambda task: task.options.error_budget is None,
)

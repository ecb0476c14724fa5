"""set_planes: give all linear maps the same number of int8 planes for their weights.

Stored keys and values get as many bits as fit them.  An error budget chooses the planes of each map
instead.
"""

from __future__ import annotations

from compiler.passes.contract import Pass
from compiler.task import Task
from las_neuro.graph import Graph

PLANED = ("linear", "memory")


def set_planes(graph: Graph, task: Task) -> Graph:
    """The graph with the attribute `planes` on every linear map and memory."""
    planes = task.options.weight_planes
    return graph.mapped(
        lambda node: node.with_attributes(planes=planes) if node.op in PLANED else node
    )


PASS = Pass(
    set_planes,
    "spiking",
    "spiking",
    needs=("encoders",),
    leaves=("planes",),
    applies=lambda task: task.options.error_budget is None,
)

"""make_spiking: turn the model graph into a spiking graph by a published method."""

from __future__ import annotations

from compiler.passes.contract import Pass
from compiler.task import Task
from las_neuro.graph import Graph


def make_spiking(graph: Graph, task: Task) -> Graph:
    """The spiking graph of the task's method; encoders have no codes yet."""
    return task.method.spiking(graph, task.checkpoint)


PASS = Pass(make_spiking, "model", "spiking", needs=("operators",), leaves=("encoders",))

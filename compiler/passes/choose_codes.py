"""choose_codes: give every encoder a spike code for the range that calibration measured."""

from __future__ import annotations

from compiler.passes.contract import Pass
from compiler.task import Task
from las_neuro.graph import Graph


def choose_codes(graph: Graph, task: Task) -> Graph:
    """The graph with the attribute `code` on every encoder, chosen by the task's method."""
    return task.method.threshold(graph)


PASS = Pass(choose_codes, "spiking", "spiking", needs=("encoders",), leaves=("codes",))

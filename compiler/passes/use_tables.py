"""use_tables: compute functions by the few-spikes tables of an imported file."""

from __future__ import annotations

from compiler.passes.contract import Pass
from compiler.task import Task
from las_neuro.graph import Graph
from las_neuro.neurons.few_spikes import read_tables, with_tables


def use_tables(graph: Graph, task: Task) -> Graph:
    """The graph with a table on each function that the file covers.

    Raises ConfigError where the file covers no function of the model.
    """
    assert task.options.tables is not None
    return with_tables(graph, read_tables(task.options.tables, task.options.subtract_first))


PASS = Pass(
    use_tables,
    "spiking",
    "spiking",
    needs=("encoders",),
    leaves=("tables",),
    applies=lambda task: task.options.tables is not None,
)

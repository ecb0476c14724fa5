"""round_weights: round weights to int8, each layer for the inputs that the rounded layers give it.

Only where the calibration tokens are representative; otherwise `lower` rounds weights to nearest.
"""

from __future__ import annotations

from compiler.passes.contract import Pass
from compiler.task import Task
from compiler.weights.round_weights import round_layers
from las_neuro.graph import Graph


def round_weights(graph: Graph, task: Task) -> Graph:
    """The graph with `rounded` on every linear map and `spread` on encoders that only maps read."""
    return round_layers(graph, task.batches, task.progress) if task.representative else graph


PASS = Pass(
    round_weights,
    "spiking",
    "spiking",
    needs=("ranges", "planes", "clips"),
    leaves=("rounded weights",),
    reads_weights=True,
)

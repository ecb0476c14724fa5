"""round_weights: every weight to int8, layer by layer, each for the inputs it will really get.

Only where calibration tokens are like the text to come; other weights are rounded to nearest in
`lower`.
"""

from __future__ import annotations

from compiler.passes.contract import Pass
from compiler.task import Task
from compiler.weights.round_weights import round_layers
from las_neuro.graph import Graph


def round_weights(graph: Graph, task: Task) -> Graph:
    """The attribute `rounded` on every linear map, `spread` on the encoders only they read."""
    return round_layers(graph, task.batches, task.progress) if task.representative else graph


PASS = Pass(
    round_weights,
    "spiking",
    "spiking",
    needs=("ranges", "planes", "clips"),
    leaves=("rounded weights",),
    reads_weights=True,
)

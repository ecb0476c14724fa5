"""calibrate: run the float graph on sample tokens and measure the range of every value."""

from __future__ import annotations

from compiler.passes.contract import Pass
from compiler.task import Task
from las_neuro.graph import Graph


def calibrate(graph: Graph, task: Task) -> Graph:
    """The graph with a `Range` on every node; the sample goes to `task.batches`.

    Raises CalibrationError for a text, token or image file that cannot be used.
    """
    from las_neuro.calibration.images import calibration_images
    from las_neuro.calibration.ranges import calibrate as measure_ranges
    from las_neuro.calibration.text import calibration_tokens

    assert task.checkpoint is not None
    sample = calibration_images if graph.pixels else calibration_tokens
    task.batches = list(sample(task.checkpoint, task.options.calibrate, graph))
    task.representative = task.options.calibrate is not None or graph.causal
    return measure_ranges(graph, task.batches, task.progress)


PASS = Pass(
    calibrate,
    "spiking",
    "spiking",
    needs=("encoders",),
    leaves=("ranges",),
    reads_weights=True,
)

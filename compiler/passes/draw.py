"""draw: from the checkpoint's config.json to a graph of the model's own operators."""

from __future__ import annotations

from compiler.passes.contract import Pass
from compiler.task import Task
from las_neuro.architectures import draw as draw_family
from las_neuro.graph import Graph


def draw(_: None, task: Task) -> Graph:
    """The model graph of the task's checkpoint; its weights stay on disk until they are needed."""
    assert task.checkpoint is not None
    task.progress("draw", 0, 1)
    graph = draw_family(task.checkpoint, task.options.context)
    task.progress("draw", 1, 1)
    return graph


PASS = Pass(draw, "none", "model", leaves=("operators",))

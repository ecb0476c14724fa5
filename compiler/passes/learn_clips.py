"""learn_clips: learn clips and scales of weights and activations block by block (OmniQuant).

Only for linear maps whose system asks for it (SpikeLLM); other graphs stay unchanged.
"""

from __future__ import annotations

from compiler.passes.contract import Pass
from compiler.task import Task
from las_neuro.graph import Graph


def learn_clips(graph: Graph, task: Task) -> Graph:
    """The graph with learned clips on its linear maps and spreads on the encoders they read."""
    from las_neuro.training.omniquant import learn

    return learn(graph, task.batches, task.progress) if task.representative else graph


PASS = Pass(
    learn_clips,
    "spiking",
    "spiking",
    needs=("ranges",),
    leaves=("clips",),
    reads_weights=True,
)

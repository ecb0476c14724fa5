"""learn_clips: clips and scales of weights and activations are learned block by block (OmniQuant).

Only for maps whose system says they are learned (SpikeLLM); other graphs pass unchanged.
"""

from __future__ import annotations

from compiler.passes.contract import Pass
from compiler.task import Task
from las_neuro.graph import Graph


def learn_clips(graph: Graph, task: Task) -> Graph:
    """Clips on the linear maps that learn them, spreads on the encoders they read."""
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

"""las_neuro: from a Hugging Face language model to a calibrated spiking graph.

    from las_neuro import convert
    checkpoint, graph = convert("path/to/model", steps=16)

Importing this package reads no torch: only what touches weights does.
"""

# Imported here and not lazily: `convert` must name the function, not the module it lives in.
from las_neuro.checkpoint import Checkpoint
from las_neuro.convert import convert, plan_graph

__all__ = ["Checkpoint", "convert", "plan_graph"]

"""Random models with the neurons that a system's own training leaves, without the training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from las_neuro.architectures import draw
from las_neuro.checkpoint import Checkpoint
from las_neuro.neurons.fas_tables import FasTables
from las_neuro.reference.model import FloatModel
from las_neuro.training.elastic import Repeated

QUIET = np.float32(0.1)


def fas(folder: Path, steps: int = 8) -> Path:
    """Thresholds as las-finetune leaves them, one a channel, beside a random model."""
    graph, draws = draw(Checkpoint.open(folder)), np.random.default_rng(5)
    sizes = {node.layer: node.size for node in graph if node.op == "function"}
    thresholds = {i: draws.uniform(0.5, 2.0, n).astype(np.float32) for i, n in sizes.items()}
    initial = {i: draws.uniform(0.3, 0.7, n).astype(np.float32) for i, n in sizes.items()}
    FasTables(steps, thresholds, initial).write(folder, {"levels": steps})
    return folder


def spikelm(folder: Path, repetitions: int = 3) -> Path:
    """Amplitudes as a first batch sets them, among a random model's weights.

    Its norms are drawn in: an amplitude above 4 lets potentials grow from repetition to repetition.
    """
    tensors = load_file(folder / "model.safetensors")
    for name, tensor in tensors.items():
        if "norm" in name.lower() or "ln_" in name:
            tensors[name] = tensor * QUIET
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    checkpoint = Checkpoint.open(folder)
    repeated = Repeated(FloatModel.load(checkpoint).module, repetitions)
    words, context = checkpoint.config["vocab_size"], draw(checkpoint).context
    with torch.no_grad():
        tokens = np.random.default_rng(3).integers(2, words, (4, min(context, 18)))
        repeated(torch.from_numpy(tokens))
    repeated.tables().write(folder, {})
    return folder


TRAINED = {"fas": fas, "spikelm": spikelm}

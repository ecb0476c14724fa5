"""Calibration images: the user's file, or random pixels.

Random pixels cover the range that the model's processor produces, but not the activations that real
pictures cause: results are clearly better with images like those that the model will see.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from las_neuro.checkpoint import Checkpoint, read_json
from las_neuro.errors import ConfigError
from las_neuro.graph import Floats, Graph
from las_neuro.patches import patches, read_images

BATCH_TOKENS = 1024
FEWEST = 8  # images
SEED = 0
PROCESSOR = "preprocessor_config.json"


def calibration_images(
    checkpoint: Checkpoint, path: Path | None, graph: Graph, limit: int = 2048
) -> list[Floats]:
    """Images of about `limit` tokens, at least FEWEST, as batches [B, S, pixels] of patches.

    path: a .npy file of images; None: random pixels.
    """
    count = max(FEWEST, limit // graph.context)
    if path is not None:
        rows = patches(read_images(path, count), graph.pixels, graph.context)
    else:
        rows = _random(checkpoint, graph, count)
    size = max(1, BATCH_TOKENS // graph.context)
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def _random(checkpoint: Checkpoint, graph: Graph, count: int) -> Floats:
    """Patches of a random shade with noise, normalised as the model's processor does."""
    random = np.random.default_rng(SEED)
    shape = (count, graph.context, graph.pixels)
    shade = random.random((count, graph.context, 1))
    noise = random.random(shape)
    weight = random.random((count, graph.context, 1))  # from flat patches to pure noise
    mean, deviation = _processor(checkpoint, graph.pixels)
    pixels = ((1 - weight) * shade + weight * noise - mean) / deviation
    pixels[:, 0] = 0.0  # the class token has no pixels
    rows: Floats = pixels.astype(np.float32)
    return rows


def _processor(checkpoint: Checkpoint, pixels: int) -> tuple[Floats, Floats]:
    """Mean and standard deviation by pixel; 0.5, as ViT uses, if the folder does not state them."""
    path = checkpoint.folder / PROCESSOR
    fields = read_json(path, ConfigError) if path.is_file() else {}
    channels = checkpoint.config.get("num_channels", 3)
    mean, deviation = (
        np.repeat(_by_channel(path, key, fields.get(key, 0.5), channels), pixels // channels)
        for key in ("image_mean", "image_std")
    )
    if deviation.min() <= 0:
        raise ConfigError(f"{path}: image_std {deviation.min()} is not above 0", "correct it")
    return mean, deviation


def _by_channel(path: Path, key: str, value: Any, channels: int) -> Floats:
    try:
        with np.errstate(over="ignore"):  # beyond float32 becomes infinite, refused below
            numbers = np.broadcast_to(np.asarray(value, np.float32), channels)
    except (TypeError, ValueError, OverflowError):
        numbers = np.full(channels, np.nan, np.float32)
    if not np.isfinite(numbers).all():  # numpy reads null as NaN
        raise ConfigError(
            f"{path}: {key} {value!r:.60} is not a number for each of {channels} channels",
            "correct it",
        )
    return numbers

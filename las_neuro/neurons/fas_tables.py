"""fas_tables: the neurons that `las-finetune` calibrated, stored beside their checkpoint.

    fas.safetensors  `<layer>.threshold` [channels] and `<layer>.initial` [channels], float32
    fas.json         {"steps": T, "levels": L, "published": ..., "activation": ..., "measured": ...}

They describe the integrate-and-fire neuron of FAS (arXiv 2502.04405) that stands in place of the
activation of each feed-forward block, by channel c of that block:

    mem_0 = initial_c * threshold_c;  mem += x;  z = [mem >= threshold_c];  mem -= threshold_c * z
    y = threshold_c * (spikes in T steps) / T

A checkpoint whose folder holds neither file is an ordinary one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from las_neuro.checkpoint import read_json
from las_neuro.errors import CheckpointError
from las_neuro.graph import Floats
from las_neuro.weight_file import WeightFile

NEURONS = "fas.safetensors"
RECORD = "fas.json"
MOST_STEPS = 64
REMEDY = "make the folder again with las-finetune, or copy both files of it"


@dataclass(frozen=True)
class FasTables:
    """thresholds, initial: layer -> [channels]; an initial potential is a part of its threshold.

    thresholds > 0; 0 <= initial < 1.  steps: T, the time steps they were calibrated for.
    """

    steps: int
    thresholds: Mapping[int, Floats]
    initial: Mapping[int, Floats]

    @staticmethod
    def read(folder: Path) -> FasTables | None:
        """The tables in a checkpoint's folder; None if `las-finetune` did not make it.

        Raises `CheckpointError` if a file is missing or damaged, or a value out of range.
        """
        present = [name for name in (NEURONS, RECORD) if (folder / name).exists()]
        if not present:
            return None
        if len(present) == 1:
            missing = RECORD if present == [NEURONS] else NEURONS
            raise CheckpointError(f"{folder}: holds {present[0]} but no {missing}", REMEDY)
        steps = _steps(folder / RECORD)
        try:
            file = WeightFile.open(folder / NEURONS)
        except OSError as error:
            raise CheckpointError(
                f"{folder / NEURONS}: cannot be read ({error.strerror})", "check its permissions"
            ) from error
        tables = FasTables(steps, _vectors(file, "threshold"), _vectors(file, "initial"))
        _check(file, tables)
        return tables

    def write(self, folder: Path, record: Mapping[str, Any]) -> None:
        """Write both files to a folder that exists; record: further entries of fas.json."""
        from safetensors.numpy import save_file

        tensors = {
            f"{i}.threshold": np.asarray(t, np.float32) for i, t in sorted(self.thresholds.items())
        }
        tensors |= {
            f"{i}.initial": np.asarray(m, np.float32) for i, m in sorted(self.initial.items())
        }
        save_file(tensors, folder / NEURONS)
        text = json.dumps({"steps": self.steps, **record}, indent=2, allow_nan=False)
        (folder / RECORD).write_text(text + "\n", encoding="utf-8")


def _steps(path: Path) -> int:
    steps = read_json(path, CheckpointError).get("steps")
    if type(steps) is not int or not 1 <= steps <= MOST_STEPS:
        raise CheckpointError(
            f"{path}: steps is {steps!r}, not a number from 1 to {MOST_STEPS}", REMEDY
        )
    return steps


def _vectors(file: WeightFile, part: str) -> dict[int, Floats]:
    """Layer -> the vector `<layer>.<part>`."""
    vectors = {}
    for name in file.entries:
        layer, _, kind = name.partition(".")
        if not (layer.isascii() and layer.isdigit() and kind in ("threshold", "initial")):
            raise CheckpointError(
                f"{file.path}: tensor {name!r} is no <layer>.threshold or <layer>.initial", REMEDY
            )
        if kind == part:
            vectors[int(layer)] = file.read(name)
    return dict(sorted(vectors.items()))


def _check(file: WeightFile, tables: FasTables) -> None:
    """Layers are 0, 1, ..., each with two vectors of one length, of values in their range."""
    layers = list(tables.thresholds)
    if not layers or layers != list(range(len(layers))) or layers != list(tables.initial):
        raise CheckpointError(
            f"{file.path}: thresholds of layers {layers}, initial potentials of layers "
            f"{list(tables.initial)}; both must be 0, 1, ...",
            REMEDY,
        )
    for layer in layers:
        threshold, initial = tables.thresholds[layer], tables.initial[layer]
        if threshold.ndim != 1 or threshold.shape != initial.shape or not threshold.size:
            raise CheckpointError(
                f"{file.path}: layer {layer} has thresholds {list(threshold.shape)} and initial "
                f"potentials {list(initial.shape)}, not one number per channel",
                REMEDY,
            )
        if not (threshold > 0).all():
            raise CheckpointError(f"{file.path}: layer {layer} has a threshold <= 0", REMEDY)
        if not ((initial >= 0) & (initial < 1)).all():
            raise CheckpointError(
                f"{file.path}: layer {layer} has an initial potential outside [0, 1)", REMEDY
            )

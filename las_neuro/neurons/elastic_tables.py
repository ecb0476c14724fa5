"""elastic_tables: the amplitudes of SpikeLM's neurons, stored among the weights they belong to.

Names are those of the paper's code (arXiv 2406.03287), so that its checkpoints, saved as
safetensors, are read unchanged.  Each tensor is one number; t is the repetition:

    <linear map>.act_clip_val.<t>     alpha of the neurons at the map's inputs
    <attention>.clip_key.<t>          of the keys; <attention> is the module that holds the key map
    <attention>.clip_value.<t>        of the values
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from las_neuro.checkpoint import SINGLE, Checkpoint
from las_neuro.errors import CheckpointError, ConfigError

NAME = re.compile(r"(.+\.(?:act_clip_val|clip_key|clip_value))\.(\d{1,3})")
RECORD = "spikelm.json"  # how the neurons were trained, for people
MOST_REPETITIONS = 16
LEAST = 1e-5  # the smallest amplitude, as in the paper's code
TRAIN = "train one with examples/train_spikelm.py, or name a SpikeLM checkpoint"

Alphas = tuple[float, ...]  # by repetition


@dataclass(frozen=True)
class ElasticTables:
    """repetitions: T.  alphas: the name without its repetition -> [T], each > 0."""

    repetitions: int
    alphas: Mapping[str, Alphas]

    @staticmethod
    def read(checkpoint: Checkpoint) -> ElasticTables | None:
        """The amplitudes in a checkpoint's weight files; None if they hold none.

        Raises `CheckpointError` if one is no single number or a neuron lacks a repetition.
        """
        tables: dict[str, dict[int, float]] = {}
        for name, file in (checkpoint.weights or {}).items():
            if match := NAME.fullmatch(name):
                if file.entries[name].shape not in ((), (1,)):
                    raise CheckpointError(
                        f"{file.path}: {name} is {list(file.entries[name].shape)}, not one number",
                        TRAIN,
                    )
                alpha = max(float(file.read(name).reshape(())), LEAST)
                tables.setdefault(match[1], {})[int(match[2])] = alpha
        if not tables:
            return None
        repetitions = len(next(iter(tables.values())))
        for site, alphas in tables.items():
            if sorted(alphas) != list(range(repetitions)) or repetitions > MOST_REPETITIONS:
                raise CheckpointError(
                    f"{checkpoint.folder}: {site} has repetitions {sorted(alphas)}, others "
                    f"have {repetitions}; all must have 0, 1, .. of at most {MOST_REPETITIONS}",
                    TRAIN,
                )
        return ElasticTables(
            repetitions,
            {site: tuple(alphas[t] for t in range(repetitions)) for site, alphas in tables.items()},
        )

    @staticmethod
    def of_plan(repetitions: int) -> ElasticTables:
        """Equal neurons everywhere: enough to estimate the cost of a model of known shape."""
        return ElasticTables(repetitions, {})

    def write(self, folder: Path, record: Mapping[str, Any]) -> None:
        """Add the amplitudes to a folder's model.safetensors; record: for spikelm.json."""
        from safetensors.numpy import load_file, save_file

        tensors = load_file(folder / SINGLE)
        for site, alphas in self.alphas.items():
            tensors |= {
                f"{site}.{t}": np.array(alpha, np.float32) for t, alpha in enumerate(alphas)
            }
        save_file(tensors, folder / SINGLE, metadata={"format": "pt"})
        text = json.dumps({"passes": self.repetitions, **record}, indent=2, allow_nan=False)
        (folder / RECORD).write_text(text + "\n", encoding="utf-8")

    def at(self, site: str) -> Alphas:
        """The amplitudes of one site [T]; raises `ConfigError` if it has none."""
        if not self.alphas:
            return (1.0,) * self.repetitions
        if site not in self.alphas:
            raise ConfigError(f"the checkpoint has no {site}: its neurons there", TRAIN)
        return self.alphas[site]

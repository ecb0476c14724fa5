"""elastic_tables: the amplitudes of SpikeLM's neurons, kept among the weights they belong to.

Names are those of the paper's code (arXiv 2406.03287), so a checkpoint of its own, saved as
safetensors, is read as it is; one number each, t the pass:

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
RECORD = "spikelm.json"  # how it was trained, for people
MOST_PASSES = 16
LEAST = 1e-5  # the code's own floor
TRAIN = "train one with examples/train_spikelm.py, or name a SpikeLM checkpoint"

Alphas = tuple[float, ...]  # by pass


@dataclass(frozen=True)
class ElasticTables:
    """passes: T.  alphas: the name without its pass -> [T], each > 0."""

    passes: int
    alphas: Mapping[str, Alphas]

    @staticmethod
    def read(checkpoint: Checkpoint) -> ElasticTables | None:
        """What the checkpoint's weight files hold of them; None where it is an ordinary one."""
        found: dict[str, dict[int, float]] = {}
        for name, file in (checkpoint.weights or {}).items():
            if match := NAME.fullmatch(name):
                if file.entries[name].shape not in ((), (1,)):
                    raise CheckpointError(
                        f"{file.path}: {name} is {list(file.entries[name].shape)}, not one number",
                        TRAIN,
                    )
                alpha = max(float(file.read(name).reshape(())), LEAST)
                found.setdefault(match[1], {})[int(match[2])] = alpha
        if not found:
            return None
        passes = len(next(iter(found.values())))
        for site, alphas in found.items():
            if sorted(alphas) != list(range(passes)) or passes > MOST_PASSES:
                raise CheckpointError(
                    f"{checkpoint.folder}: {site} has passes {sorted(alphas)}, others have "
                    f"{passes}; all must have 0, 1, .. of at most {MOST_PASSES}",
                    TRAIN,
                )
        return ElasticTables(
            passes,
            {site: tuple(alphas[t] for t in range(passes)) for site, alphas in found.items()},
        )

    @staticmethod
    def of_plan(passes: int) -> ElasticTables:
        """Every neuron alike: enough to cost a model of which only the shape is known."""
        return ElasticTables(passes, {})

    def write(self, folder: Path, record: Mapping[str, Any]) -> None:
        """Add them to the weights in a folder's model.safetensors; record: for spikelm.json."""
        from safetensors.numpy import load_file, save_file

        tensors = load_file(folder / SINGLE)
        for site, alphas in self.alphas.items():
            tensors |= {
                f"{site}.{t}": np.array(alpha, np.float32) for t, alpha in enumerate(alphas)
            }
        save_file(tensors, folder / SINGLE, metadata={"format": "pt"})
        text = json.dumps({"passes": self.passes, **record}, indent=2, allow_nan=False)
        (folder / RECORD).write_text(text + "\n", encoding="utf-8")

    def at(self, site: str) -> Alphas:
        """The amplitudes of one site."""
        if not self.alphas:
            return (1.0,) * self.passes
        if site not in self.alphas:
            raise ConfigError(f"the checkpoint has no {site}: its neurons there", TRAIN)
        return self.alphas[site]

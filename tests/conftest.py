"""What every test starts from: no network, no chance, tiny random models of every family."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from random_models import OWN, SMALL, WIDTH, random_model

torch.set_num_threads(1)

SaveModel = Callable[..., Path]


@pytest.fixture
def save_model(tmp_path: Path) -> SaveModel:
    """save_model(family, dtype=..., shard=..., **config fields) -> folder of a random model."""

    def save(
        family: str, dtype: torch.dtype = torch.float32, shard: str = "5GB", **fields: Any
    ) -> Path:
        model, folder = random_model(family, **fields), tmp_path / family
        model.to(dtype).save_pretrained(folder, safe_serialization=True, max_shard_size=shard)
        return folder

    return save


@pytest.fixture
def tokens() -> np.ndarray:
    """[3, 20]: three sequences as long as SMALL's context."""
    return np.random.default_rng(1).integers(2, 61, (3, 20))


@pytest.fixture
def shared_data() -> Path:
    """The project's evaluation data, where this machine has it."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no ../shared/data on this machine")
    return folder


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., Path]:
    """plan(family, **fields) -> a config.json alone."""

    def write(family: str, **fields: Any) -> Path:
        width = {WIDTH.get(family, "intermediate_size"): 40}
        path = tmp_path / "config.json"
        own = OWN[family] if family in OWN and family != "opt" else {}  # OPT: its hidden_size
        path.write_text(json.dumps({"model_type": family} | SMALL | width | own | fields))
        return path

    return write


@pytest.fixture(autouse=True)
def _same_every_time() -> None:
    """Seed the global generators; tests that draw numbers should still bring their own."""
    random.seed(0)
    np.random.seed(0)

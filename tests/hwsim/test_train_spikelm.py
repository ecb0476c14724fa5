"""The trainer in examples/: what it writes compiles, and has learned something."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compiler import compile
from hwsim.backends.fast.engine import Engine
from las_neuro.checkpoint import Checkpoint
from las_neuro.neurons.elastic_tables import ElasticTables

SCRIPT = Path(__file__).parents[2] / "examples" / "train_spikelm.py"


def trained(folder: Path, out: Path, *words: object) -> subprocess.CompletedProcess[str]:
    tokens = np.random.default_rng(2).integers(2, 20, (1200,))  # a text of few words
    np.save(folder / "ids.npy", tokens)
    made = [SCRIPT, out, "--model", folder, "--text", folder / "ids.npy", *words]
    return subprocess.run(
        [sys.executable, *map(str, made)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # two waste a busy machine's time
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_a_trained_folder_compiles(
    save_model: Callable[..., Path], tmp_path: Path, family: str
) -> None:
    out = tmp_path / "trained"
    words = ("--passes", 2, "--updates", 12, "--batch-tokens", 100, "--lr", 0.01)
    done = trained(save_model(family), out, *words)
    assert done.returncode == 0, done.stderr
    measured = json.loads((out / "spikelm.json").read_text())["measured"]
    assert measured["spiking"] < measured["before"]
    tables = ElasticTables.read(Checkpoint.open(out))
    assert tables is not None
    assert tables.repetitions == 2
    net = compile(out, system="spikelm", context=16)
    assert Engine(net).run(np.array([[3, 9, 4]])).any()


@pytest.mark.slow
def test_a_folder_that_is_there_is_left_alone(
    save_model: Callable[..., Path], tmp_path: Path
) -> None:
    done = trained(save_model("gpt2"), tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "already exists" in done.stderr

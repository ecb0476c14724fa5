"""Backends: one folder each, alike from outside, and known by name nowhere else."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compiler.convert import convert
from compiler.netlist.model import Netlist, Population
from compiler.pipeline import build
from hwsim.backends import DEFAULT, find, load, names
from hwsim.backends.backend import Backend, run_whole
from hwsim.backends.traces import Trace, first_difference
from las_neuro.errors import BackendError, ConfigError

ROOT = Path(__file__).parents[2]
SAME = '''"""The step engine under another name."""

from hwsim.backends.backend import RUN_SECONDS, Limits
from hwsim.backends.step.session import StepSession


class Plain:
    name = "plain"
    description = "the step engine again"
    limits = Limits(batches=False, pieces=True, timed=False)

    def check(self):
        pass

    def open(self, net, *, count=False, on_spike=None, on_value=None, timeout=RUN_SECONDS):
        return StepSession(net, on_spike, on_value)


BACKEND = Plain()
'''


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Netlist:
    """A random decoder of one block, whose slots are used again from token 3 on."""
    import torch
    from transformers import MistralConfig, MistralForCausalLM

    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(2)
    config = MistralConfig(
        vocab_size=31,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=8,
        sliding_window=3,
    )
    model = MistralForCausalLM(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(8.0).add_(torch.randn_like(weight) * 0.1)
    model.save_pretrained(folder)
    return build(convert(folder)[1])


@pytest.fixture(params=[name for name in names() if name != "step"])
def backend(request: pytest.FixtureRequest) -> Backend:
    try:
        return find(request.param)
    except BackendError as error:
        pytest.skip(str(error))


def test_each_folder_exports_its_backend() -> None:
    assert names()[0] == DEFAULT
    assert {"fast", "step", "lava"} <= set(names())
    for name in names():
        assert load(name).name == name
        assert load(name).description
    with pytest.raises(ConfigError, match=r"unknown backend 'gpu'; help: choose one of fast, "):
        load("gpu")


def test_every_backend_streams_the_same(net: Netlist, backend: Backend) -> None:
    """Spikes, values, outputs and counts of a sequence in pieces, and of one more after a reset."""
    rows = np.array([[5, 6, 7, 8, 9]])
    streams = []
    for one in (load("step"), backend):
        trace, values = Trace(net), Values()
        session = one.open(net, count=True, on_spike=trace.spike, on_value=values.take)
        payloads = [session.feed(rows[:, :2]), session.feed(rows[:, 2:])]
        streams.append((trace, values.joined(net), np.concatenate(payloads, 1), session))
        session.reset()
        assert session.feed(rows[:, :1]).tolist() == payloads[0][:, :1].tolist()
    (expected, sums, outputs, step), (trace, mine, payloads, other) = streams
    assert expected.spikes > 1000
    assert str(first_difference(expected, trace)) == "None"
    assert list(mine) == list(sums)
    assert len(sums) > 20
    for name in sums:
        np.testing.assert_array_equal(mine[name], sums[name], err_msg=name)
    np.testing.assert_array_equal(payloads, outputs)
    assert step.counters.equals(other.counters) == []
    assert (other.counters.tokens, other.counters.sequences) == (6, 2)


class Values:
    """Sums of a run by population, in the order of the netlist."""

    def __init__(self) -> None:
        self.pieces: dict[str, list[np.ndarray]] = {}

    def take(self, population: Population, sums: np.ndarray, start: int) -> None:
        self.pieces.setdefault(population.name, []).append(sums)

    def joined(self, net: Netlist) -> dict[str, np.ndarray]:
        return {
            name: np.concatenate([whole(net.populations[name], x) for x in self.pieces[name]], 1)
            for name in net.populations
            if name in self.pieces
        }


def whole(population: Population, sums: np.ndarray) -> np.ndarray:
    """Slots not used yet as zeros, and equal values written out."""
    place = population.slot_axis
    if place is not None:
        slots = list(population.axes.values())[place]
        lacking = [(0, 0)] * sums.ndim
        lacking[2 + place] = (0, slots - sums.shape[2 + place])
        sums = np.pad(sums, lacking)
    return np.broadcast_to(sums, (*sums.shape[:2], *population.axes.values()))


def test_batches_are_split_for_a_backend_that_takes_none(net: Netlist) -> None:
    rows = np.array([[5, 6, 7], [8, 9, 10]])
    outputs = [
        run_whole(load(name).open(net), load(name).limits, rows) for name in ("fast", "step")
    ]
    assert outputs[0].shape == (2, 3, 31)
    np.testing.assert_array_equal(*outputs)


def test_a_backend_is_one_new_folder(
    las_run: Callable[..., subprocess.CompletedProcess[str]], net: Netlist, tmp_path: Path
) -> None:
    from compiler.netlist.hdf5 import save

    save(net, path := tmp_path / "net.h5")
    (tmp_path / "backends" / "plain").mkdir(parents=True)
    (tmp_path / "backends" / "plain" / "__init__.py").write_text(SAME)
    said = " ".join(las_run("--help").stdout.split())
    assert "plain: the step engine again" in said
    words = (str(path), "--tokens", "5,6", "--max-new-tokens", "2", "--json")
    done = las_run(*words, "--backend", "plain", "--check", "fast")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["backend"] == "plain"
    assert record["check"]["difference"] is None
    assert record["check"]["spikes"] > 1000


@pytest.fixture
def las_run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command, with the folder `backends` of tmp_path beside our own backends."""
    code = (
        "import sys, hwsim.backends\n"
        f"hwsim.backends.__path__.append({str(tmp_path / 'backends')!r})\n"
        "from hwsim.commands.las_run import main; main()"
    )

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *words],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"COLUMNS": "200", "PYTHONPATH": str(ROOT)},
        )

    return run


def test_no_other_code_knows_a_backend_by_name() -> None:
    """Keys of a record are no backends: las-inspect prints a kind's Lava process as `lava`."""
    known = []
    modules = tuple(f"hwsim.backends.{name}" for name in names())
    for path in sorted((ROOT / "hwsim").rglob("*.py")):
        if (ROOT / "hwsim" / "backends") in path.parents:
            continue
        nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
        keys = {id(key) for node in nodes if isinstance(node, ast.Dict) for key in node.keys}
        keys |= {id(node.slice) for node in nodes if isinstance(node, ast.Subscript)}
        for node in nodes:
            place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Constant) and node.value in names() and id(node) not in keys:
                known.append(f"{place}: {node.value}")
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(modules):
                known.append(f"{place}: {node.module}")
    assert known == []

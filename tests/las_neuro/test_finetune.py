"""FAS: the activation, the neuron it becomes, training that can be interrupted, and its folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from las_neuro.architectures import draw
from las_neuro.checkpoint import Checkpoint
from las_neuro.errors import (
    CalibrationError,
    CheckpointError,
    ConfigError,
    LasError,
    OutputError,
    UnsupportedError,
)
from las_neuro.neurons.fas_tables import FasTables
from las_neuro.reference.model import FloatModel
from las_neuro.training.fas_calibrate import calibrate, coarse
from las_neuro.training.finetune import finetune, start_thresholds, train
from las_neuro.training.qcfs import PLACES, Neuron, staircase, stepwise
from las_neuro.training.training_text import Text, read_text
from las_neuro.training.tuned_folder import check_free
from las_neuro.training.tuning import Settings, Tuning, prepare

SaveModel = Callable[..., Path]
QUICK = Settings(updates=4, batch=60, rate=1e-3, calibration_updates=3)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """2000 token ids of the random models' vocabulary."""
    path = tmp_path / "text.npy"
    np.save(path, np.random.default_rng(3).integers(2, 61, 2000))
    return path


def tuned(folder: Path, text: Path, settings: Settings = QUICK) -> tuple[Tuning, Text]:
    """A model with QCFS in place, not trained."""
    checkpoint = Checkpoint.open(folder)
    read = read_text(checkpoint, draw(checkpoint), text, None)
    tuning = prepare(checkpoint, torch.device("cpu"))
    start_thresholds(tuning, read, settings)
    return tuning, read


# the neuron


@pytest.mark.parametrize("steps", [1, 4, 8, 15])
@pytest.mark.parametrize("start", [0.0, 0.25, 0.5, 0.96875])
def test_the_mean_of_the_neuron_is_the_staircase(steps: int, start: float) -> None:
    """On numbers that float64 adds without rounding, ends of every stair among them."""
    threshold = torch.tensor(2.0, dtype=torch.float64)
    x = torch.arange(-256, 1024, dtype=torch.float64) / 256 / steps * steps.bit_length() * 2
    x = torch.cat([x, torch.arange(-64, 256, dtype=torch.float64) / 64])
    initial = torch.tensor(start, dtype=torch.float64)
    x = (x * 1024).round() / 1024
    closed = staircase(x, threshold, initial, steps)
    assert torch.allclose(closed, stepwise(x, threshold, initial, steps), rtol=0, atol=1e-12)
    assert len(closed.unique()) == steps + 1


def test_for_as_many_steps_as_levels_the_neuron_is_qcfs() -> None:
    """The formula of the paper, with floor(. * L + 0.5)."""
    x, threshold = torch.randn(4000) * 1.5, torch.tensor(2.0)
    qcfs = threshold * torch.floor(torch.clamp(x / threshold, 0, 1) * 8 + 0.5) / 8
    assert torch.equal(staircase(x, threshold, torch.tensor(0.5), 8), qcfs)
    assert torch.equal(stepwise(x, threshold, torch.tensor(0.5), 8), qcfs)
    assert not torch.equal(stepwise(x, threshold, torch.tensor(0.5), 4), qcfs)


def test_gradients_go_through_the_floor() -> None:
    neuron = Neuron(torch.full((3,), 2.0), torch.full((3,), 0.5), 8)
    neuron.initial.requires_grad_(True)
    x = torch.tensor([[-1.0, 1.1, 3.0]], requires_grad=True)
    neuron(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0.0, 1.0, 0.0]]
    spikes = 4  # floor(1.1 / 2 * 8 + 0.5)
    expected = torch.tensor([0.0, spikes / 8 - 1.1 / 2, 1.0])
    assert neuron.threshold.grad is not None
    assert torch.allclose(neuron.threshold.grad, expected, atol=1e-6)
    assert neuron.initial.grad is not None
    assert torch.allclose(neuron.initial.grad, torch.full((3,), 2 / 8))


# where it stands


@pytest.mark.parametrize("family", sorted(PLACES))
def test_every_feed_forward_block_of_every_family(
    save_model: SaveModel, text: Path, family: str
) -> None:
    fields = {"num_key_value_heads": 2} if family in ("mistral", "qwen2") else {}
    tuning, read = tuned(save_model(family, **fields), text)
    assert len(tuning.neurons) == 2
    tuning.loss(read.batch(0, 0, 60), 0.5).backward()
    for neuron in tuning.neurons:
        assert neuron.threshold.grad is not None
        assert neuron.threshold.grad != 0
    assert [n.threshold.shape for n in coarse(tuning, read.heldout[0], 8, 1.0, 0.5)] == [(40,)] * 2
    tuning.put(tuning.originals)
    tokens = read.heldout[0]
    assert torch.equal(tuning.run(tuning.model, tokens), tuning.run(tuning.original, tokens))


def test_thresholds_start_at_what_the_activation_sends(save_model: SaveModel, text: Path) -> None:
    sent = [float(n.threshold.detach()) for n in tuned(save_model("opt"), text)[0].neurons]
    lower = replace(QUICK, quantile=0.9)
    assert all(
        float(n.threshold.detach()) < most
        for n, most in zip(tuned(save_model("opt"), text, lower)[0].neurons, sent, strict=True)
    )


# the whole


@pytest.mark.parametrize("family", ["gpt2", "llama", "bert"])
def test_the_folder_is_a_checkpoint_with_tables(
    save_model: SaveModel, text: Path, tmp_path: Path, family: str
) -> None:
    folder, out = save_model(family), tmp_path / "out"
    (folder / "tokenizer_config.json").write_text("{}")
    record = finetune(folder, text, out, QUICK)
    checkpoint, before = Checkpoint.open(out), Checkpoint.open(folder)
    assert dict(checkpoint.config)["model_type"] == family
    activations = ("hidden_act", "activation_function")
    assert [checkpoint.config.get(a) for a in activations] == [
        before.config.get(a) for a in activations
    ]
    assert checkpoint.weights is not None
    assert before.weights is not None
    assert set(checkpoint.weights) == set(before.weights)  # no tensor of the neurons' own
    FloatModel.load(checkpoint)
    tables = FasTables.read(checkpoint.folder)
    assert tables is not None
    assert tables.steps == 8
    assert {i: t.shape for i, t in tables.thresholds.items()} == {0: (40,), 1: (40,)}
    assert all((m == 0.5).all() for m in tables.initial.values())
    said = json.loads((out / "fas.json").read_text())
    assert said == record
    assert said["measured"]["spiking"] == pytest.approx(said["measured"]["qcfs"], rel=1e-5)
    assert (out / "tokenizer_config.json").is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([family, "out", "text.npy"])


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_training_brings_a_model_nearer_to_its_original(
    save_model: SaveModel, text: Path, tmp_path: Path, family: str
) -> None:
    settings = replace(QUICK, updates=40, batch=400, rate=1e-4, threshold_rate=1e-3, distil=1.0)
    tuning, read = tuned(save_model(family), text, settings)
    rows = read.batch(0, 0, 10000)
    before = float(tuning.loss(rows, 1.0).detach())
    train(tuning, read, settings, tmp_path / "out.partial", {}, 100, lambda *_: None)
    assert float(tuning.loss(rows, 1.0).detach()) < 0.95 * before


class Stopped(Exception):
    """The machine went down."""


def stop_after(updates: int) -> Callable[[str, int, int], None]:
    def tell(stage: str, done: int, of: int) -> None:
        if (stage, done) == ("fine-tune", updates):
            raise Stopped

    return tell


def test_an_interrupted_run_ends_with_the_same_bytes(
    save_model: SaveModel, text: Path, tmp_path: Path
) -> None:
    folder = save_model("bert")  # its pooler gets no gradient, and so has no moments
    finetune(folder, text, tmp_path / "whole", QUICK)
    asked: dict[str, Any] = {"save_every": 2}
    with pytest.raises(Stopped):
        finetune(folder, text, tmp_path / "cut", QUICK, progress=stop_after(3), **asked)
    assert not (tmp_path / "cut").exists()
    starts: list[int] = []
    finetune(
        folder, text, tmp_path / "cut", QUICK, progress=lambda _, done, of: starts.append(done)
    )
    assert starts[0] == 2
    assert not (tmp_path / "cut.partial").exists()
    for name in ("model.safetensors", "fas.safetensors", "fas.json", "config.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()


def test_another_run_s_state_is_refused(save_model: SaveModel, text: Path, tmp_path: Path) -> None:
    folder, out = save_model("gpt2"), tmp_path / "out"
    with pytest.raises(Stopped):
        finetune(folder, text, out, QUICK, progress=stop_after(3), save_every=2)
    with pytest.raises(ConfigError, match=r"whose rate was 0\.001, not 0\.1"):
        finetune(folder, text, out, replace(QUICK, rate=0.1))
    state = tmp_path / "out.partial" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-8])
    with pytest.raises(CheckpointError, match="not a state of this run"):
        finetune(folder, text, out, QUICK)


def test_calibration_for_fewer_steps_than_levels(save_model: SaveModel, text: Path) -> None:
    settings = replace(QUICK, steps=4, batch=400, calibration_updates=40, calibration_rate=3e-2)
    tuning, read = tuned(save_model("gpt2"), text, settings)
    before = [p.detach().clone() for p in tuning.model.parameters()]
    found = calibrate(tuning, read, settings, lambda *_: None)
    assert found.updates == 40
    assert all(len(n.initial.unique()) > 5 and n.steps == 4 for n in found.neurons)
    assert all(map(torch.equal, before, tuning.model.parameters()))  # the weights stay


def test_the_published_coarse_step(save_model: SaveModel, text: Path) -> None:
    settings = replace(QUICK, published=True, calibration_updates=0)
    tuning, read = tuned(save_model("gpt2"), text)
    for neuron, scalar in zip(
        calibrate(tuning, read, settings, lambda *_: None).neurons, tuning.neurons, strict=True
    ):
        assert torch.equal(neuron.threshold, (scalar.threshold * 0.6).expand(40))
        assert torch.equal(neuron.initial, torch.full((40,), 0.2))


# refusals


def test_refusals(save_model: SaveModel, text: Path, tmp_path: Path) -> None:
    folder, out = save_model("gpt2"), tmp_path / "out"
    out.mkdir()
    with pytest.raises(OutputError, match="already exists"):
        check_free(out)
    out.rmdir()
    with pytest.raises(ConfigError, match="device 'abacus'"):
        finetune(folder, text, out, QUICK, device="abacus")
    with pytest.raises(CalibrationError, match="cannot be read"):
        finetune(folder, tmp_path / "none.txt", out, QUICK)
    short = tmp_path / "short.npy"
    np.save(short, np.arange(2, 10))
    with pytest.raises(CalibrationError, match="too short"):
        finetune(folder, short, out, QUICK)
    with pytest.raises(ConfigError, match="smaller --lr"):
        finetune(folder, text, out, replace(QUICK, rate=1e30))
    with pytest.raises(UnsupportedError, match="reads no text"):
        finetune(save_model("vit"), text, out, QUICK)
    assert not out.exists()


@pytest.mark.parametrize("device", ["abacus", "meta", "cuda:999"])
def test_a_device_that_cannot_compute(save_model: SaveModel, text: Path, device: str) -> None:
    with pytest.raises(ConfigError, match=f"device '{device}' cannot be used here"):
        finetune(save_model("gpt2"), text, text.parent / "out", QUICK, device=device)


@pytest.mark.parametrize(
    "rates", [{"rate": 1e30}, {"rate": 1e30, "updates": 1}, {"rate": 1e30, "threshold_rate": 1e30}]
)
def test_after_a_run_that_diverged_a_better_rate_works(
    save_model: SaveModel, text: Path, tmp_path: Path, rates: dict[str, Any]
) -> None:
    folder, out = save_model("gpt2"), tmp_path / "out"
    with pytest.raises(ConfigError) as caught:
        finetune(folder, text, out, replace(QUICK, **rates), save_every=1)
    assert "smaller --lr" in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["gpt2", "text.npy"]
    finetune(folder, text, out, QUICK, save_every=1)
    assert out.is_dir()


@pytest.mark.parametrize("name", ["rate", "threshold_rate", "calibration_rate", "distil"])
def test_rates_are_numbers(name: str) -> None:
    for value in (float("nan"), float("inf"), 1e300, -1.0):
        with pytest.raises(ConfigError, match=f"^{name} "):
            replace(QUICK, **{name: value})


def test_a_place_for_the_state_that_is_none(
    save_model: SaveModel, text: Path, tmp_path: Path
) -> None:
    folder = save_model("gpt2")
    (tmp_path / "a.partial").write_text("not a folder")
    with pytest.raises(OutputError, match=r"a\.partial: is not a folder"):
        finetune(folder, text, tmp_path / "a", QUICK)
    folder.rename(tmp_path / "b.partial")
    before = sorted((tmp_path / "b.partial").iterdir())
    with pytest.raises(OutputError, match=r"b\.partial: is the model to train"):
        finetune(tmp_path / "b.partial", text, tmp_path / "b", QUICK)
    assert sorted((tmp_path / "b.partial").iterdir()) == before


FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from las_neuro.commands.las_finetune import main
from las_neuro.training import {module}
save = {module}.{name}
def limited(*args, **kwargs):
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))
    save(*args, **kwargs)
{module}.{name} = limited
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "name"), [("training_state", "save_file"), ("finetune", "write_folder")]
)
def test_a_full_disk(
    save_model: SaveModel, text: Path, tmp_path: Path, module: str, name: str
) -> None:
    """One line, nothing half-written, and the same command goes on when there is space."""
    folder, out = save_model("gpt2"), tmp_path / "out"
    code = FULL.format(module=module, name=name)
    words = (folder, "--text", text, "-o", out, "--updates", "2")
    start = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(start, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "cannot be written" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    left = {p.name for p in tmp_path.rglob("*") if p.parent == tmp_path or "partial" in str(p)}
    kept = set() if module == "training_state" else {"out.partial", "state.safetensors"}
    assert left == {"gpt2", "text.npy"} | kept
    done = las_finetune(*words)
    assert done.returncode == 0, done.stderr


def las_finetune(*words: str | Path) -> subprocess.CompletedProcess[str]:
    code = "from las_neuro.commands.las_finetune import main; main()"
    start = [sys.executable, "-c", code, *map(str, words)]
    one = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(start, capture_output=True, text=True, check=False, env=one)


@pytest.mark.slow
def test_the_command(save_model: SaveModel, text: Path, tmp_path: Path) -> None:
    folder, out = save_model("gpt2"), tmp_path / "out"
    words = ("--text", text, "-o", out, "--updates", "2", "--json")
    done = las_finetune(folder, *words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["measured"].keys() >= {"float", "qcfs_before", "qcfs"}
    again = las_finetune(folder, *words)
    assert again.returncode == 2
    assert again.stdout == ""
    assert again.stderr.startswith(f"error: {out}: already exists; help: ")
    assert again.stderr.count("\n") == 1


# the tables


def tables() -> FasTables:
    thresholds = {i: np.linspace(0.5, 2, 5, dtype=np.float32) for i in range(11)}
    return FasTables(4, thresholds, {i: np.full(5, 0.25, np.float32) for i in range(11)})


def test_tables_are_read_as_they_were_written(tmp_path: Path) -> None:
    assert FasTables.read(tmp_path) is None
    tables().write(tmp_path, {"levels": 8})
    found = FasTables.read(tmp_path)
    assert found is not None
    assert found.steps == 4
    for part in ("thresholds", "initial"):
        was, now = getattr(tables(), part), getattr(found, part)
        assert list(was) == list(now)  # 10 after 9
        assert all(np.array_equal(was[i], now[i]) for i in was)


WRONG: dict[str, tuple[str, Callable[[dict[str, Any]], Any]]] = {
    "negative": ("threshold <= 0", lambda t: t["0.threshold"].__setitem__(1, -1)),
    "nan": ("NaN", lambda t: t["1.threshold"].__setitem__(1, np.nan)),
    "full": ("outside", lambda t: t["1.initial"].__setitem__(1, 1)),
    "shape": (
        "not one number per channel",
        lambda t: t.update({"0.initial": np.zeros((1, 5), "f4")}),
    ),
    "missing": ("must be 0, 1", lambda t: t.pop("0.initial")),
    "gap": ("must be 0, 1", lambda t: [t.pop(f"3.{k}") for k in ("initial", "threshold")]),
    "stranger": ("is no <layer>", lambda t: t.update({"weight": np.zeros(5, "f4")})),
    "integers": ("I64", lambda t: t.update({"0.threshold": np.ones(5, np.int64)})),
}


@pytest.mark.parametrize("fault", WRONG)
def test_wrong_tables_are_refused(tmp_path: Path, fault: str) -> None:
    tables().write(tmp_path, {})
    tensors = load_file(tmp_path / "fas.safetensors")
    said, spoil = WRONG[fault]
    spoil(tensors)
    save_file(tensors, tmp_path / "fas.safetensors")
    with pytest.raises(CheckpointError, match=said) as refused:
        FasTables.read(tmp_path)
    assert refused.value.remedy


def test_half_a_pair_and_wrong_steps(tmp_path: Path) -> None:
    tables().write(tmp_path, {})
    for steps in (0, 65, 1.5, True, None, "8"):
        (tmp_path / "fas.json").write_text(json.dumps({"steps": steps}))
        with pytest.raises(LasError, match="steps is"):
            FasTables.read(tmp_path)
    (tmp_path / "fas.json").write_text("[")
    with pytest.raises(CheckpointError, match="not a readable JSON"):
        FasTables.read(tmp_path)
    (tmp_path / "fas.json").unlink()
    with pytest.raises(CheckpointError, match=r"no fas\.json"):
        FasTables.read(tmp_path)
    shutil.rmtree(tmp_path)

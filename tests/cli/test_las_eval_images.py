"""Images through the real commands: both kinds of vision model, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compiler.convert import convert
from compiler.netlist.hdf5 import save
from compiler.pipeline import build

SHAPES = {"vit": (3, 12, 12), "vit-classifier": (2, 8, 12)}
TOKENS = {"vit": 10, "vit-classifier": 7}
FIGURES = {
    "vit": {"mean_cosine_error"},
    "vit-classifier": {"top1_agreement", "mean_kl"},
}
SaveModel = Callable[..., Path]


@pytest.fixture
def vision(save_model: SaveModel, tmp_path: Path) -> Path:
    """A netlist of the tiny random ViT; its model is the folder vit beside it."""
    save(build(convert(save_model("vit"))[1]), tmp_path / "vit.h5")
    return tmp_path / "vit.h5"


def pictures(path: Path, shape: tuple[int, ...]) -> Path:
    np.save(path, np.random.default_rng(4).uniform(-1, 1, shape).astype(np.float32))
    return path


@pytest.mark.parametrize("family", SHAPES)
def test_images_beside_the_model(las, save_model: SaveModel, tmp_path: Path, family: str) -> None:
    model, net = save_model(family), tmp_path / "vit.h5"
    images = pictures(tmp_path / "images.npy", (8, *SHAPES[family]))
    assert las("las-compile", model, "-o", net, "--calibrate", images).code == 0
    given = ("--images", images, "--reference", model, "--max-tokens", "35")
    done = las("las-eval", net, *given, "--json")
    assert (done.code, done.err) == (0, "")
    made = json.loads(done.out)
    assert set(made) == FIGURES[family] | {"images", "tokens", "seconds", "reference_seconds"}
    count = 35 // TOKENS[family]
    assert (made["images"], made["tokens"]) == (count, count * TOKENS[family])
    if family == "vit":
        assert 0 < made["mean_cosine_error"] < 0.01
    else:
        assert made["top1_agreement"] >= 4 / 5  # of a random model, whose classes lie close
        assert 0 < made["mean_kl"] < 0.05


def test_a_vision_netlist_reads_no_text(las, vision: Path, text: Path) -> None:
    for option in ("--text", "--tasks"):
        done = las("las-eval", vision, option, text)
        assert (done.code, done.out) == (2, "")
        assert done.err == (
            f"error: {option}: this vit netlist reads images, not text; "
            "help: give --images FILE.npy\n"
        )


def test_other_netlists_read_no_images(las, netlist: Path, tmp_path: Path) -> None:
    images = pictures(tmp_path / "images.npy", (2, 3, 12, 12))
    done = las("las-eval", netlist, "--images", images)
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "error: --images: this llama netlist reads text, not images; help: give --text FILE\n"
    )


@pytest.mark.parametrize(
    ("shape", "words", "said"),
    [
        ((2, 3, 8, 8), (), "are not 9 patches of 48"),
        ((2, 3, 12), (), "not images"),
        ((2, 3, 12, 12), ("--lines",), "only a text has lines"),
        ((2, 3, 12, 12), ("--depth", "depth.json"), "give --text FILE and --reference MODEL"),
    ],
)
def test_what_does_not_fit_is_refused(
    las, vision: Path, shape: tuple[int, ...], words: tuple[str, ...], said: str
) -> None:
    images = pictures(vision.parent / "images.npy", shape)
    done = las("las-eval", vision, "--images", images, *words, cwd=vision.parent)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert said in done.err


def test_a_classifier_is_no_reference_of_a_model_without_head(
    las, vision: Path, save_model: SaveModel
) -> None:
    images = pictures(vision.parent / "images.npy", (2, 3, 12, 12))
    other = save_model("vit-classifier")
    done = las("las-eval", vision, "--images", images, "--reference", other)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "is vit with 7 tokens of 32 pixels that gives classes" in done.err
    assert "name the model that the netlist was compiled from" in done.err

"""Images: cut as transformers cuts them, drawn as its ViT, calibrated with pictures or without."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compiler.convert import calibrated, convert, plan_graph
from las_neuro import Checkpoint
from las_neuro.architectures import draw
from las_neuro.calibration.images import calibration_images
from las_neuro.errors import (
    CalibrationError,
    ConfigError,
    LasError,
    PromptError,
    UnsupportedError,
)
from las_neuro.patches import patches, read_images
from las_neuro.reference.interpret import final
from las_neuro.reference.model import FloatModel
from las_neuro.systems.las import spiking

SaveModel = Callable[..., Path]

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("vit", {}),
    "no_qkv_bias": ("vit", {"qkv_bias": False}),
    "eps": ("vit", {"layer_norm_eps": 1e-2}),
    "gelu_new": ("vit", {"hidden_act": "gelu_new"}),
    "one_channel": ("vit", {"num_channels": 1, "patch_size": 3}),
    "wide": ("vit", {"image_size": [4, 12]}),
    "classifier": ("vit-classifier", {}),
    "two_labels": ("vit-classifier", {"num_labels": 2}),
}


def pictures(folder: Path, count: int = 3) -> np.ndarray:
    """Random images [count, channels, height, width] of the size the model wants."""
    config = json.loads((folder / "config.json").read_text())
    side = config["image_size"]
    height, width = side if isinstance(side, list) else (side, side)
    random = np.random.default_rng(4)
    return random.uniform(-1, 1, (count, config["num_channels"], height, width)).astype(np.float32)


@pytest.mark.parametrize("case", CASES)
def test_spiking_graph_equals_transformers(save_model: SaveModel, case: str) -> None:
    family, fields = CASES[case]
    folder = save_model(family, **fields)
    checkpoint, images = Checkpoint.open(folder), pictures(folder)
    graph = spiking(draw(checkpoint))
    cut = patches(images, graph.pixels, graph.context)
    ours = final(graph, cut, torch.float64).numpy()
    model = FloatModel.load(checkpoint)
    theirs = model.hidden(images) if family == "vit" else model.classes(images)
    ours = ours if family == "vit" else ours[:, 0]
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()


def test_a_model_without_head_reads_the_classifier_s_body(save_model: SaveModel) -> None:
    """The same tensors under `vit.` and bare: the body of one is the whole of the other."""
    folder = save_model("vit-classifier")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["ViTModel"]}))
    checkpoint = Checkpoint.open(folder)
    graph, model = spiking(draw(checkpoint)), FloatModel.load(checkpoint)
    images = pictures(folder)
    ours = final(graph, patches(images, graph.pixels, graph.context)).numpy()
    np.testing.assert_allclose(ours, model.hidden(images), atol=1e-3)
    with pytest.raises(UnsupportedError):
        model.classes(images)


def test_patches_are_the_windows_of_a_convolution() -> None:
    random = np.random.default_rng(0)
    images = random.normal(size=(2, 3, 8, 12)).astype(np.float32)
    kernel = random.normal(size=(5, 3, 4, 4)).astype(np.float32)
    found = patches(images, 48, 7)
    assert found.shape == (2, 7, 48)
    assert not found[:, 0].any()
    expected = torch.nn.functional.conv2d(
        torch.from_numpy(images), torch.from_numpy(kernel), None, 4
    )
    np.testing.assert_allclose(
        found[:, 1:] @ kernel.reshape(5, -1).T, expected.flatten(2).mT, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("shape", [(1, 3, 12, 8), (1, 3, 9, 12), (1, 1, 8, 12), (1, 0, 8, 12)])
def test_images_of_another_size_are_refused(shape: tuple[int, ...]) -> None:
    images = np.zeros(shape, np.float32)
    if shape == (1, 3, 12, 8):  # as many patches: the caller alone knows which way is up
        assert patches(images, 48, 7).shape == (1, 7, 48)
        return
    with pytest.raises(PromptError, match="are not 6 patches of 48"):
        patches(images, 48, 7)


def test_the_calibration_file_is_what_is_measured(save_model: SaveModel, tmp_path: Path) -> None:
    folder = save_model("vit")
    images = pictures(folder, 4) * 3
    np.save(tmp_path / "images.npy", images)
    found = calibrated(folder, calibrate=tmp_path / "images.npy")
    assert found.representative
    graph = found.graph
    seen = graph["embeddings.patches"].range
    assert seen is not None
    assert seen.peak == np.abs(images).max()


def test_random_pixels_are_normalised_as_the_processor_does(save_model: SaveModel) -> None:
    folder = save_model("vit")
    checkpoint = Checkpoint.open(folder)
    graph = spiking(draw(checkpoint))
    plain = np.concatenate(calibration_images(checkpoint, None, graph))
    says = {"image_mean": [0.0, 0.5, 1.0], "image_std": [0.5, 0.25, 1.0]}
    (folder / "preprocessor_config.json").write_text(json.dumps(says))
    own = np.concatenate(calibration_images(checkpoint, None, graph))
    assert plain.shape[1:] == (10, 48)
    assert len(plain) * 10 >= 2000
    assert -1 <= plain.min() < -0.9 < 0.9 < plain.max() <= 1
    for channel, (low, high) in enumerate([(0, 2), (-2, 2), (-1, 0)]):
        part = own[:, 1:, 16 * channel : 16 * (channel + 1)]
        assert low <= part.min() < part.max() <= high
        assert part.max() - part.min() > 0.9 * (high - low)
    assert not own[:, 0].any()


@pytest.mark.parametrize(
    "says",
    [
        '{"image_mean": [1, 2]}',
        '{"image_mean": null}',
        '{"image_mean": NaN}',
        '{"image_mean": 1e999}',
        '{"image_std": 0}',
        '{"image_std": -1}',
        '{"image_std": null}',
        '{"image_std": NaN}',
        '{"image_std": [0.5, 0.5, null]}',
        '{"image_std": 1e39}',
        '{"image_std": 1' + "0" * 400 + "}",
        "{",
        "[]",
    ],
)
def test_a_bad_processor_is_named(save_model: SaveModel, says: str) -> None:
    folder = save_model("vit")
    (folder / "preprocessor_config.json").write_text(says)
    with pytest.raises(ConfigError, match=r"preprocessor_config\.json"):
        convert(folder)


BAD: dict[str, Any] = {
    "missing": None,
    "no array": b"not an array",
    "pickle": np.array([{}], object),
    "flat": np.zeros((4, 144), np.float32),
    "bytes": np.zeros((1, 3, 12, 12), np.uint8),
    "empty": np.zeros((0, 3, 12, 12), np.float32),
    "nan": np.full((1, 3, 12, 12), np.nan, np.float32),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_image_files_are_named(tmp_path: Path, case: str) -> None:
    path, content = tmp_path / "images.npy", BAD[case]
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(CalibrationError, match=r"images\.npy") as caught:
        read_images(path)
    assert caught.value.remedy


def test_text_and_images_are_not_mistaken_for_each_other(
    save_model: SaveModel, tokens: np.ndarray
) -> None:
    vision, words = (spiking(draw(Checkpoint.open(save_model(f)))) for f in ("vit", "bert"))
    with pytest.raises(PromptError, match="vit reads patches of 48"):
        final(vision, tokens[:, :10])
    with pytest.raises(PromptError, match="bert reads token ids"):
        final(words, np.zeros((1, 10, 48), np.float32))


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"patch_size": 5}, ConfigError),
        ({"patch_size": [4, 4]}, ConfigError),
        ({"image_size": [12]}, ConfigError),
        ({"image_size": 0}, ConfigError),
        ({"num_attention_heads": 5}, ConfigError),
        ({"num_channels": 0}, ConfigError),
        ({"image_size": 2**16, "patch_size": 1}, ConfigError),
        ({"hidden_act": "mish"}, UnsupportedError),
    ],
)
def test_config_is_refused_by_name(
    plan: Callable[..., Path], fields: dict[str, Any], error: type[LasError]
) -> None:
    path = plan("vit", **fields)
    with pytest.raises(error, match=str(path)):
        plan_graph(path)


@pytest.mark.parametrize("context", [9, 11])
def test_an_image_is_read_whole(plan: Callable[..., Path], context: int) -> None:
    with pytest.raises(LasError, match=r"10|outside"):
        plan_graph(plan("vit"), context=context)


FAMILIES = ["gpt_neox", "roberta", "xlm-roberta", "distilbert", "vit", "vit-classifier"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_plan_is_the_graph_of_the_model(save_model: SaveModel, family: str) -> None:
    """From config.json alone, what the checkpoint gives."""
    folder = save_model(family)
    whole = spiking(draw(Checkpoint.open(folder)))
    (folder / "model.safetensors").unlink()
    planned = plan_graph(folder / "config.json")
    assert spiking(draw(Checkpoint.from_config(folder))).text() == whole.text()
    assert list(planned.nodes) == list(whole.nodes)

"""A ViT as a netlist: the engines agree on every spike of an image, and follow the float model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from engines import same_in_both
from test_engines import rounded

from compiler.compile import compile
from compiler.convert import convert, plan_graph
from compiler.mapping.plan import plan as planned
from compiler.netlist.check import check
from compiler.netlist.hdf5 import load, save
from compiler.netlist.model import HostTable, InMemory, Netlist
from compiler.pipeline import build
from hwsim.backends.fast.engine import Engine
from hwsim.backends.step.stepper import Stepper
from hwsim.measure.evaluate_images import evaluate_images
from las_neuro import Checkpoint
from las_neuro.errors import NetlistError, PromptError
from las_neuro.patches import patches
from las_neuro.reference import interpret
from las_neuro.reference.model import FloatModel

SaveModel = Callable[..., Path]
SHAPES = {"vit": (3, 12, 12), "vit-classifier": (2, 8, 12)}


def pictures(family: str, count: int) -> np.ndarray:
    random = np.random.default_rng(4)
    return random.uniform(-1, 1, (count, *SHAPES[family])).astype(np.float32)


@pytest.fixture
def net(save_model: SaveModel) -> Netlist:
    return build(convert(save_model("vit"))[1])


def rows_of(net: Netlist, count: int = 1) -> np.ndarray:
    return patches(pictures("vit", count), net.pixels, net.context)


@pytest.mark.parametrize("family", SHAPES)
def test_every_spike_and_every_count(save_model: SaveModel, family: str) -> None:
    net = build(convert(save_model(family))[1])
    rows = patches(pictures(family, 1), net.pixels, net.context)
    same_in_both(net, rows[0])


@pytest.mark.parametrize("family", SHAPES)
def test_a_file_gives_the_same_run_near_the_float_model(
    save_model: SaveModel, tmp_path: Path, family: str
) -> None:
    folder = save_model(family)
    np.save(tmp_path / "images.npy", pictures(family, 8))
    made = compile(folder, calibrate=tmp_path / "images.npy")
    save(made, tmp_path / "vit.h5")
    net = load(tmp_path / "vit.h5")
    assert (net.pixels, net.vocabulary, net.family) == (made.pixels, 0, "vit")
    images = pictures(family, 3)
    rows = patches(images, net.pixels, net.context)
    assert torch.equal(Engine(made).run(rows), Engine(net).run(rows))
    model = FloatModel.load(Checkpoint.open(folder))
    reference = model.hidden if family == "vit" else model.classes
    figures = evaluate_images(net, rows, images, reference)
    assert figures["images"] == 3
    if family == "vit":
        assert figures["mean_cosine_error"] < 0.01
    else:
        assert figures["top1_agreement"] == 1.0
        assert figures["mean_kl"] < 0.05


@pytest.mark.parametrize("family", SHAPES)
def test_outputs_follow_the_float_graph(save_model: SaveModel, family: str) -> None:
    """Beyond the weights' own rounding, 2 % of the output's spread: keys have 14 bits."""
    _, graph = convert(save_model(family))
    net = build(graph)
    rows = patches(pictures(family, 2), net.pixels, net.context)
    found = Engine(net).run(rows).double() * net.populations[net.output].unit
    wanted = interpret.final(rounded(graph), rows, torch.float64)
    error = (found - wanted).pow(2).mean().sqrt() / wanted.std()
    assert error < 0.02


def test_images_of_a_batch_do_not_meet(net: Netlist) -> None:
    rows = rows_of(net, 2)
    together = Engine(net).run(rows)
    for i in range(2):
        assert torch.equal(together[i], Engine(net).run(rows[i : i + 1])[0])


def test_tokens_are_no_patches(net: Netlist, save_model: SaveModel) -> None:
    words = build(convert(save_model("bert"))[1])
    for given in (np.zeros((1, 10), np.int64), np.zeros((1, 10, 47), np.float32)):
        with pytest.raises(PromptError, match="reads patches"):
            Engine(net).run(given)
        with pytest.raises(PromptError, match="reads patches"):
            Stepper(net).run(given[0])
    with pytest.raises(PromptError, match="reads patches"):
        Engine(net).run(np.full((1, 10, 48), np.nan, np.float32))
    with pytest.raises(PromptError, match="reads token ids"):
        Engine(words).run(rows_of(net))


def wrong(net: Netlist, case: str) -> None:
    """Spoil the netlist's patch input."""
    i = next(i for i, table in enumerate(net.tables) if table.source == "patch")
    name, none = net.tables[i].population, InMemory(np.zeros((0, 48), np.int32))
    match case:
        case "rows":
            net.tables[i] = HostTable(name, "patch", 0, InMemory(np.zeros((1, 48), np.int32)))
        case "offset":
            net.tables[i] = HostTable(name, "patch", 1, none)
        case "width":
            net.tables[i] = HostTable(name, "patch", 0, InMemory(np.zeros((0, 47), np.int32)))
        case "token":
            net.tables[i] = HostTable(name, "token", 0, none)
        case "both":
            net.tables[1 - i] = HostTable(net.tables[1 - i].population, "token", 0, none)
        case "logits":
            net.output_kind = "logits"


@pytest.mark.parametrize("case", ["rows", "offset", "width", "token", "both", "logits"])
def test_a_spoilt_patch_input_is_refused(net: Netlist, case: str) -> None:
    check(net)
    wrong(net, case)
    with pytest.raises(NetlistError):
        check(net)


def test_a_vit_is_planned_from_its_config(plan: Callable[..., Path]) -> None:
    """ViT-B/16 in full."""
    base = {"image_size": 224, "patch_size": 16, "hidden_size": 768, "num_hidden_layers": 12}
    path = plan("vit", num_attention_heads=12, intermediate_size=3072, **base)
    net = build(plan_graph(path), weights=False)
    made = planned(net)
    assert made.weights == 12 * 12 * 768**2 + 768 * 768
    assert net.context == 197

"""FAS: IF neurons with calibrated thresholds, against the float model that has them trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from engines import same_in_both
from trained_models import fas

from compiler import compile
from compiler.convert import convert
from compiler.netlist.hdf5 import save
from compiler.pipeline import build
from hwsim.backends.fast.engine import Engine
from las_neuro.architectures import draw
from las_neuro.checkpoint import Checkpoint
from las_neuro.errors import ConfigError
from las_neuro.reference.interpret import final
from las_neuro.reference.model import FloatModel
from las_neuro.systems import find

TOKENS = np.array([3, 60, 17, 17, 5])
FAMILIES = {"llama": "silu", "gpt2": "gelu_tanh", "bert": "gelu", "opt": "relu"}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_graph_is_the_model_with_its_neurons(
    save_model: Callable[..., Path], family: str
) -> None:
    checkpoint = Checkpoint.open(fas(save_model(family)))
    graph = find("fas").spiking(draw(checkpoint), checkpoint)
    assert not [node for node in graph if node.attributes.get("fn") == FAMILIES[family]]
    ours, model = final(graph, TOKENS[None]), FloatModel.load(checkpoint)
    theirs = model.logits(TOKENS[None]) if model.causal else model.hidden(TOKENS[None])
    spread = float(ours.std())
    near = np.abs(ours.numpy() - theirs).max(axis=(0, 2)) < 1e-3 * spread
    assert near.sum() >= len(TOKENS) - 1  # a value on the edge of a stair may fall either way


@pytest.mark.parametrize("family", FAMILIES)
def test_every_spike_and_every_count(save_model: Callable[..., Path], family: str) -> None:
    _, graph = convert(fas(save_model(family)), system=find("fas"))
    net = build(graph)
    fired = [p for p in net.populations.values() if p.kind == "fire"]
    assert len(fired) == 2
    assert all(p.params["drive"] == 1 and len(p.sends) == 8 for p in fired)
    same_in_both(net, TOKENS)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_netlist_follows_the_tuned_model(save_model: Callable[..., Path], family: str) -> None:
    """As near as LAS comes to the untuned one; stairs that a last bit decides leave more."""
    folder = fas(save_model(family))
    net = compile(folder, system="fas", weight_planes=2)
    assert net.provenance["options"]["steps"] == 8
    wanted = torch.from_numpy(FloatModel.load(Checkpoint.open(folder)).logits(TOKENS[None]))
    found = Engine(net).run(TOKENS[None]).double() * net.populations[net.output].unit
    error = (found - wanted).abs().median() / wanted.std()
    assert error < 0.02


def test_an_untuned_model_is_told_how_to_be_fas(save_model: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="las-finetune"):
        compile(save_model("gpt2"), system="fas")


def test_other_steps_than_calibrated_are_refused(save_model: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="calibrated for 8"):
        compile(fas(save_model("gpt2")), system="fas", steps=4)


def test_equal_inputs_give_equal_bytes(save_model: Callable[..., Path], tmp_path: Path) -> None:
    folder, paths = fas(save_model("gpt2")), [tmp_path / "a.h5", tmp_path / "b.h5"]
    for path in paths:
        save(compile(folder, system="fas"), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()

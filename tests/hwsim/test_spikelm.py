"""SpikeLM: neurons of a trained checkpoint, their leak and reset, over repetitions side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from engines import same_in_both
from random_models import CLASSES
from trained_models import spikelm

from compiler import compile
from compiler.convert import convert, plan_graph
from compiler.netlist.wiring import Wiring
from compiler.pipeline import build
from hwsim.accounts.comparison import attention_macs, dense_macs
from hwsim.backends.counters import Counters
from hwsim.backends.fast.engine import Engine
from las_neuro.architectures import draw
from las_neuro.checkpoint import Checkpoint
from las_neuro.errors import CheckpointError, ConfigError
from las_neuro.neurons.elastic_tables import ElasticTables
from las_neuro.reference.interpret import final
from las_neuro.reference.model import FloatModel
from las_neuro.systems import find
from las_neuro.systems.spikelm import SpikeLm
from las_neuro.training.elastic import Elastic

TOKENS = np.array([3, 60, 17, 17, 5])
FAMILIES = [family for family in CLASSES if not family.startswith("vit")]


def test_the_neuron_is_the_paper_s() -> None:
    """By hand, alpha 1: silence leaves a quarter, a spike up nothing, a spike down a half."""
    neuron = Elastic(3, leaky=True)
    neuron.alpha.fill_(1.0)
    given = torch.tensor([[0.4, 0.6, -0.8, 0.5, 3.0], [0.4, 0.0, 0.0, 0.4, -0.5], [0.0] * 5])
    sent, left = [], []
    for t in range(3):
        sent.append(neuron(given[t], t))
        left.append(neuron.carry)
    assert torch.stack(sent).tolist() == [[0, 1, -1, 0, 1], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]]
    torch.testing.assert_close(left[0], torch.tensor([0.1, 0.0, -0.4, 0.125, 0.0]))
    torch.testing.assert_close(left[1], torch.tensor([0.125, 0.0, -0.1, 0.0, -0.125]))


def test_first_batch_sets_amplitudes_and_gradients_pass_inside() -> None:
    neuron = Elastic(2, leaky=True)
    x = torch.tensor([0.25, -0.5, 2.0, -3.0], requires_grad=True)
    neuron(x, 0)
    assert neuron.alpha[0] == pytest.approx(2 * 5.75 / 4)
    y = neuron(x, 1)
    y.sum().backward()
    assert x.grad is not None
    reset = 0.25 * (neuron.alpha[0] - torch.tensor([0.0, 0.0, 1.0, -1.0]) * neuron.alpha[0])
    inside = (x.detach() * (1 + reset)).abs() <= neuron.alpha[1]
    torch.testing.assert_close(x.grad, inside * (1 + reset))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_graph_is_the_model_in_repetitions(
    save_model: Callable[..., Path], family: str
) -> None:
    heads = {"num_key_value_heads": 2} if family in ("mistral", "qwen2") else {}
    checkpoint = Checkpoint.open(spikelm(save_model(family, **heads)))
    graph = find("spikelm").spiking(draw(checkpoint), checkpoint)
    model = FloatModel.load(checkpoint)
    ours = final(graph, TOKENS[None]).numpy()
    theirs = model.logits(TOKENS[None]) if model.causal else model.hidden(TOKENS[None])
    near = np.abs(ours - theirs).max(axis=(0, 2)) < 1e-3 * ours.std()
    assert near.sum() >= len(TOKENS) - 2  # a potential at half an amplitude may fall either way


@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
def test_every_spike_and_every_count(save_model: Callable[..., Path], family: str) -> None:
    _, graph = convert(spikelm(save_model(family)), system=find("spikelm"))
    net = build(graph)
    kinds = [p.kind for p in net.populations.values() if "@" not in p.name]  # not repeated
    assert kinds.count("leak") == 2 * (3 - 1) * 4  # layers, repetitions but the last, sites a layer
    assert kinds.count("fire") == 2 * 3 * (4 + 2)  # and keys and values
    same_in_both(net, TOKENS)


@pytest.mark.parametrize("family", ["llama", "bert"])
def test_the_netlist_follows_the_trained_model(
    save_model: Callable[..., Path], family: str
) -> None:
    """Nearer than a model of other amplitudes; spikes that a last bit decides leave the rest."""
    folder = spikelm(save_model(family))
    net = compile(folder, system="spikelm", weight_planes=2)
    assert net.provenance["options"]["steps"] == 3
    model = FloatModel.load(Checkpoint.open(folder))
    run = model.logits if model.causal else model.hidden
    rows = np.random.default_rng(2).integers(2, 61, (8, 12))
    wanted = torch.from_numpy(run(rows)).double()
    found = Engine(net).run(rows).double() * net.populations[net.output].unit
    assert (found - wanted).abs().median() / wanted.std() < 0.05


def test_keys_and_values_are_ternary(save_model: Callable[..., Path]) -> None:
    """Values as they are; keys that positions turn are no spikes any more."""
    limits = {}
    for family in ("llama", "gpt2"):
        _, graph = convert(spikelm(save_model(family)), system=find("spikelm"))
        written = [form for _, form in Wiring(build(graph)).written]
        limits[family] = {
            part: {form.limit for form in written if form.value.endswith(part)}
            for part in ("keys", "values")
        }
    assert limits["gpt2"] == {"keys": {1}, "values": {1}}
    assert limits["llama"]["values"] == {1}
    assert min(limits["llama"]["keys"]) > 1000


def test_a_repetition_costs_cores_and_little_time(plan: Callable[..., Path]) -> None:
    one, four = (
        build(plan_graph(plan("opt"), system=SpikeLm(steps=n)), weights=False) for n in (1, 4)
    )
    sizes = [sum(p.n for p in net.populations.values()) for net in (one, four)]
    assert 2.5 < sizes[1] / sizes[0] < 4.5
    assert one.period < four.period < 1.3 * one.period


def test_the_ordinary_network_has_one_repetition(plan: Callable[..., Path]) -> None:
    las, three = (
        build(plan_graph(plan("llama"), system=one), weights=False)
        for one in (find("las"), SpikeLm(steps=3))
    )
    counted = Counters(tokens=5, sequences=1)
    assert dense_macs(three) == dense_macs(las)
    assert attention_macs(three, counted, [5]) == attention_macs(las, counted, [5]) > 0


def test_what_cannot_be(save_model: Callable[..., Path]) -> None:
    folder = save_model("gpt2")
    with pytest.raises(ConfigError, match="holds no neurons of SpikeLM"):
        compile(folder, system="spikelm")
    with pytest.raises(ConfigError, match="trained for 3"):
        compile(spikelm(folder), system="spikelm", steps=2)
    ElasticTables(2, {"transformer.h.7.attn.clip_key": (1.0, 1.0)}).write(folder, {})
    with pytest.raises(CheckpointError, match="repetitions"):
        compile(folder, system="spikelm")


def test_neurons_missing_or_too_many(save_model: Callable[..., Path]) -> None:
    folder = save_model("gpt2")
    ElasticTables(2, {"transformer.h.0.attn.c_attn.act_clip_val": (1.0, 1.0)}).write(folder, {})
    checkpoint = Checkpoint.open(folder)
    with pytest.raises(ConfigError, match=r"h\.0\.attn\.clip_key"):
        find("spikelm").spiking(draw(checkpoint), checkpoint)
    with pytest.raises(CheckpointError, match=r"clip_key, the amplitudes of neurons, is missing"):
        FloatModel.load(checkpoint)
    spikelm(save_model("opt"), 2)
    folder = save_model("opt").parent / "opt"
    spikelm(folder, 2)
    ElasticTables(2, {"nowhere.act_clip_val": (1.0, 1.0)}).write(folder, {})
    with pytest.raises(CheckpointError, match="nowhere"):
        FloatModel.load(Checkpoint.open(folder))

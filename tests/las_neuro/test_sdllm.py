"""SDLLM's thresholds by token: the same function, and every token counted by its own mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compiler.convert import convert
from compiler.pipeline import build
from hwsim.backends.fast.engine import Engine
from las_neuro.architectures import draw
from las_neuro.calibration.ranges import calibrate
from las_neuro.checkpoint import Checkpoint
from las_neuro.graph import Graph, Tensor
from las_neuro.neurons.codes import Code
from las_neuro.neurons.firing import Firing
from las_neuro.neurons.thresholds import Site
from las_neuro.reference.interpret import final, interpret
from las_neuro.systems import find, las
from las_neuro.systems.sdllm import SdLlm
from las_neuro.systems.sites import only_linear

SaveModel = Callable[..., Path]


def coded(graph: Graph) -> set[str]:
    """Encoders that linear maps read."""
    readers = graph.readers()
    return {
        node.name
        for node in graph
        if node.op == "encode" and only_linear([graph[name] for name in readers[node.name]])
    }


def uneven(channel: float, value: float) -> Site:
    """256 tokens of 512 channels: the first so many times as loud, a hundredth of all values."""
    random = np.random.default_rng(0)
    sample = random.normal(size=(256, 512)) * np.where(random.random((256, 512)) < 0.01, value, 1.0)
    sample[:, 0] *= channel
    return Site(sample, np.abs(sample).max(axis=0), None, np.ones(512), 0.0)


def share(site: Site, system: SdLlm) -> float:
    """Squared error over the values' own squares, the worst channel's."""
    return float((site.errors(system.code(site)) / (site.sample**2).mean(axis=0)).max())


@pytest.mark.parametrize("train", ["twos_complement", "ternary", "graded"])
def test_a_channel_far_louder_than_the_rest_is_not_clipped(train: str) -> None:
    """As in the feed-forward blocks of MiniLM, whose loudest is 770 times the mean."""
    site = uneven(500.0, 1.0)
    code = SdLlm(train=train).code(site)
    assert isinstance(code, Firing)
    assert code.lift is not None
    assert 2.0 ** code.lift[0] > 63  # 1000 times the mean is 8000 units
    assert code.lift[1:].max() == 0
    assert share(site, SdLlm(train=train)) < 0.01
    assert share(site, SdLlm(train=train, outliers=False)) > 0.9


def test_bits_of_channels_that_differ_by_far_have_a_group_each() -> None:
    """One step for all that is beyond the clip would be the loudest channel's."""
    site = uneven(500.0, 1.0)
    site.sample[:, 1:50] *= 10
    site = replace(site, peaks=np.abs(site.sample).max(axis=0))
    code = SdLlm().code(site)
    assert isinstance(code, Firing)
    assert code.lift is not None
    assert code.lift[0] > code.lift[1:50].max() >= code.lift[1:50].min() > code.lift[50:].max()
    assert share(site, SdLlm()) < 0.05


def test_rare_loud_values_are_coarser_and_the_others_of_their_channel_are_not() -> None:
    """Bits: a second range for values; no coarser than what calibration saw asks for."""
    site = uneven(1.0, 20.0)
    code = SdLlm().code(site)
    assert isinstance(code, Code)
    reach = code.theta * 2**code.outlier_shift
    assert reach / 2 < site.peaks.max() <= reach
    lifted = SdLlm(train="twos_complement").code(site)
    assert site.errors(code).sum() < 0.5 * site.errors(lifted).sum()


@pytest.mark.parametrize("family", ["llama", "bert", "opt", "gpt2"])
def test_the_function_stays_the_same(
    save_model: SaveModel, tokens: np.ndarray, family: str
) -> None:
    checkpoint = Checkpoint.open(save_model(family))
    plain = final(las.spiking(draw(checkpoint)), tokens).double()
    graph = find("sdllm", {"per_token": True}).spiking(draw(checkpoint), checkpoint)
    np.testing.assert_allclose(final(graph, tokens), plain, rtol=0, atol=1e-4 * plain.abs().max())


@pytest.mark.parametrize("family", ["llama", "bert"])
def test_every_token_s_mean_is_one(save_model: SaveModel, tokens: np.ndarray, family: str) -> None:
    """Whatever its own was: so V = 1 / k for all of them, but where channels are evened out."""
    system = find("sdllm", {"per_token": True, "train": "graded", "k": 5})
    _, graph = convert(save_model(family), system=system)
    found = coded(graph)
    assert found
    for node, value in interpret(graph, tokens):
        if node.name in found:
            mean = value.abs().mean(dim=-1)
            assert 0.85 < mean.min() <= mean.max() < 1  # LEAST is some of a quiet mean
            assert node["code"].unit == pytest.approx(1 / 5, rel=0.15)


def test_what_is_shared_is_measured_once(save_model: SaveModel) -> None:
    """A decoder's queries, keys and values; in an encoder model their phases differ."""
    for family, shared in (("llama", True), ("bert", False)):
        checkpoint = Checkpoint.open(save_model(family))
        graph = find("sdllm", {"per_token": True}).spiking(draw(checkpoint), checkpoint)
        readers = graph.readers()
        most = max(len(readers[name]) for name in coded(graph))
        assert (most > 1) == shared


def test_a_silent_token_stays_silent(save_model: SaveModel, tokens: np.ndarray) -> None:
    """Where all values are 0 their mean is no divisor: no spikes there, the model's own after."""
    system = find("sdllm", {"per_token": True, "train": "graded", "k": 32})
    checkpoint = Checkpoint.open(save_model("opt"))
    graph = system.spiking(draw(checkpoint), checkpoint)
    silent = next(node for node in graph if node.name in coded(graph))
    norm = graph[silent.name.removesuffix(".spikes")]
    weights = {key: Tensor.of(key, 0 * tensor.load()) for key, tensor in norm.weights.items()}
    graph.nodes[norm.name] = replace(norm, weights=weights)
    graph = system.threshold(calibrate(graph, [tokens]))
    net = build(graph)
    engine = Engine(net)
    found = engine.run(tokens).double() * net.populations[net.output].unit
    counts = engine.counters.populations
    assert counts[silent.name].spikes.sum() == 0
    assert counts[f"{silent.name}.inverse"].clamps == 0
    wanted = final(graph, tokens).double()
    assert float((found - wanted).abs().median() / wanted.std()) < 0.06

"""What each pass promises in its first lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from compiler.compile import compile
from compiler.convert import calibrated, convert, plan_graph
from compiler.lowering.network import LoweredNetwork, LoweredPopulation, Scaling
from compiler.lowering.norm import outlier_channels
from compiler.passes.fold_scales import fold_scales
from compiler.passes.prove_widths import cuts
from compiler.passes.split_phases import split_phases
from compiler.pipeline import build
from compiler.task import Task
from compiler.weights.equalize import spread
from compiler.weights.quantize import quantize
from compiler.weights.round_weights import round_layers
from las_neuro.integers import WORD_LIMIT


def widths(digits: int, width: int) -> tuple[int, ...]:
    """Binary digits of each step: `width`, and what is left."""
    return tuple(min(width, digits - low) for low in range(0, digits, width))


@given(st.integers(4, 20), st.integers(1, 8), st.integers(1, WORD_LIMIT))
def test_cuts_keep_the_worst_case_inside_the_word(digits: int, width: int, reach: int) -> None:
    """Every digit set, every sign against us: the state never leaves 24 bits."""
    found, sent = cuts(widths(digits, width), reach), widths(digits, width)
    fits = reach << max(sent) <= WORD_LIMIT - 2
    assert found["safe"] == fits
    state, weight = 0, 0
    for bits, shift, cut in zip(sent, found["shift"], found["cut"], strict=True):  # type: ignore[call-overload]
        state = (state + ((1 << cut) >> 1)) >> cut
        state += reach * (2**bits - 1) << shift
        assert not fits or state <= WORD_LIMIT
        weight = shift if cut else weight
        assert shift == weight  # digits follow each other, but for what is cut
        weight += bits


@given(st.integers(4, 20), st.integers(1, 8), st.integers(1, WORD_LIMIT))
def test_cuts_throw_away_no_bit_too_many(digits: int, width: int, reach: int) -> None:
    """One bit less cut away in all, and the sum could not be proven."""
    found = cuts(widths(digits, width), reach)
    cut = sum(found["cut"])  # type: ignore[call-overload]
    assert not found["safe"] or cut == 0 or reach << (digits - cut + 1) > WORD_LIMIT - 2


def test_what_cannot_be_proven_is_marked() -> None:
    assert not cuts((1,) * 16, WORD_LIMIT)["safe"]
    assert cuts((1,) * 16, 2**15)["safe"]
    assert not cuts((8, 8), 2**15)["safe"]


def test_a_decoder_is_one_phase(plan: Callable[..., Path]) -> None:
    graph = split_phases(plan_graph(plan("llama")), Task())
    assert {node["phase"] for node in graph} == {0}


def test_an_encoder_waits_once_a_layer(plan: Callable[..., Path]) -> None:
    """Two layers: three phases, and only the residual stream waits."""
    graph = split_phases(plan_graph(plan("bert")), Task())
    assert {node["phase"] for node in graph} == {0, 1, 2}
    assert sum(node.op == "wait" for node in graph) == 2
    for node in graph:
        for name in node.inputs:
            earlier = node["phase"] - graph[name]["phase"]
            assert earlier == (graph[name].op == "memory" or node.op == "wait")


@pytest.mark.parametrize("family", ["llama", "bert", "opt", "gpt2"])
def test_schedule_delivers_one_step_after_sending(
    save_model: Callable[..., Path], family: str
) -> None:
    net = build(convert(save_model(family))[1])
    assert net.phases[0][0] == 0
    assert all(a[1] == b[0] for a, b in zip(net.phases, net.phases[1:], strict=False))
    for group in net.synapses:
        source, target = net.populations[group.source], net.populations[group.target]
        arrivals = {t + 1 for t in source.sends}
        assert group.feedback or arrivals <= set(target.steps), group.name


@given(factors=st.lists(st.floats(1e-9, 3e4), min_size=1, max_size=6))
def test_integer_multipliers_are_near_the_factors(factors: list[float]) -> None:
    """Relative error at most 2**-15, wherever a shift of at most 48 bits leaves 15 bits."""
    net = LoweredNetwork("test", True, 8, 8, "p", "hidden")
    axes, params = {"c": len(factors)}, {"cut": (0,), "low": 0, "high": 1}
    scaling = Scaling(np.array(factors))
    net.populations["p"] = LoweredPopulation("p", "integrate", axes, params, scaling=scaling)
    found = fold_scales(net, Task()).populations["p"].params
    near = found["multiplier"] * 0.5 ** found["divide"]
    np.testing.assert_allclose(near, factors, rtol=2.0**-14.9)
    assert found["multiplier"].max() < 2**15


@pytest.fixture
def correlated() -> tuple[np.ndarray, np.ndarray]:
    """Weights [16, 24] and inputs [4000, 24] with a few loud directions."""
    draw = np.random.default_rng(3)
    mixing = draw.normal(size=(24, 24)) * np.geomspace(1, 0.05, 24)
    return draw.normal(size=(16, 24)), draw.normal(size=(4000, 24)) @ mixing.T


def lost(weight: np.ndarray, inputs: np.ndarray, rounded: np.ndarray) -> float:
    return float(np.square(inputs @ (rounded - weight).T).mean())


def test_second_order_rounding_beats_nearest(correlated: tuple[np.ndarray, np.ndarray]) -> None:
    weight, inputs = correlated
    moment = inputs.T @ inputs / len(inputs)
    second = lost(weight, inputs, quantize(weight, moment).value())
    assert second < 0.7 * lost(weight, inputs, quantize(weight).value())


def test_a_second_plane_holds_seven_bits_more(correlated: tuple[np.ndarray, np.ndarray]) -> None:
    weight, _ = correlated
    for planes, steps in ((1, 127), (2, 127 * 128)):
        rounded = quantize(weight, planes=planes)
        largest = np.abs(rounded.value() - weight).max(axis=1)
        assert (largest <= np.abs(weight).max(axis=1) / steps / 2 * (1 + 1e-9)).all()
        assert len(rounded.planes) == planes
    assert np.abs(rounded.planes[1].load()).max() <= 64


def test_spread_lowers_what_rounding_loses(correlated: tuple[np.ndarray, np.ndarray]) -> None:
    """Loud channels whose weights are small: their columns may be enlarged."""
    weight, inputs = correlated
    weight = weight * np.geomspace(0.1, 1, 24)
    moment = inputs.T @ inputs / len(inputs)
    wide = spread(weight.astype(np.float32), moment)
    evened = quantize(weight * wide, moment / np.outer(wide, wide)).value() / wide
    plain = quantize(weight, moment).value()
    assert lost(weight, inputs, evened) < 0.8 * lost(weight, inputs, plain)


def test_rounding_makes_up_for_earlier_rounding(save_model: Callable[..., Path]) -> None:
    """Beside the float model, rounded layers do better made for their real inputs."""
    found = calibrated(save_model("gpt2"))
    rounded = round_layers(found.graph, found.batches)
    maps = [node for node in rounded if node.op == "linear"]
    assert all(node["rounded"].bias is not None for node in maps)
    spreads = [node for node in rounded if "spread" in node.attributes]
    assert {node.op for node in spreads} == {"encode"}
    assert len(spreads) == 2 * 4 + 1  # attention's three share one; then out, up, down; the head


def test_outlier_channels_are_the_few_that_stand_out() -> None:
    peaks = np.ones(64, np.float32)
    peaks[[5, 9]] = 1000.0
    assert outlier_channels(peaks).tolist() == [5, 9]
    assert outlier_channels(np.linspace(1, 1000, 64).astype(np.float32)).size == 0


def test_a_norm_with_outlier_channels_keeps_other_tokens_exact(
    save_model: Callable[..., Path], tokens: np.ndarray
) -> None:
    """One embedding channel 200 times the others on one token alone; the others stay quiet."""
    folder = save_model("bert", hidden_size=64, num_attention_heads=4)
    weights = load_file(folder / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][60, 7] = 2000.0
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    path = folder / "ids.json"
    path.write_text(json.dumps([[60, *range(2, 20)]] * 3))
    net = compile(folder, calibrate=path, weight_planes=2)
    norm = "embeddings.LayerNorm"
    assert net.populations[f"{norm}.square.loud"].n == 1
    assert net.populations[f"{norm}.square.quiet"].n == 63

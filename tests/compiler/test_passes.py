"""What each pass promises in its first lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.netlist.arrays import WORD_LIMIT
from compiler.netlist.model import Netlist, Population
from compiler.passes.fold_scales import fold_scales
from compiler.passes.prove_widths import cuts
from compiler.passes.quantize import quantize
from compiler.passes.split_phases import split_phases
from compiler.pipeline import build
from las_neuro.convert import convert, plan_graph
from las_neuro.graph import Tensor


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
    graph = split_phases(plan_graph(plan("llama")))
    assert {node.attrs["phase"] for node in graph} == {0}


def test_an_encoder_waits_once_a_layer(plan: Callable[..., Path]) -> None:
    """Two layers: three phases, and only the residual stream waits."""
    graph = split_phases(plan_graph(plan("bert")))
    assert {node.attrs["phase"] for node in graph} == {0, 1, 2}
    assert sum(node.op == "wait" for node in graph) == 2
    for node in graph:
        for name in node.inputs:
            earlier = node.attrs["phase"] - graph[name].attrs["phase"]
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
    net = Netlist("test", True, 8, 8, "p", "hidden")
    axes = {"c": len(factors)}
    params = {"factor": np.array(factors), "cut": (0,), "low": 0, "high": 1}
    net.populations["p"] = Population("p", "integrate", axes, params)
    found = fold_scales(net).populations["p"].params
    near = found["multiplier"] * 0.5 ** found["divide"]
    np.testing.assert_allclose(near, factors, rtol=2.0**-14.9)
    assert found["multiplier"].max() < 2**15


def test_second_order_rounding_beats_nearest_on_correlated_inputs() -> None:
    draw = np.random.default_rng(3)
    mixing = draw.normal(size=(24, 24)) * np.geomspace(1, 0.05, 24)
    inputs = (draw.normal(size=(4000, 24)) @ mixing.T).astype(np.float32)
    weight = Tensor.of("w", draw.normal(size=(16, 24)).astype(np.float32))
    moment = (inputs.T @ inputs / len(inputs)).astype(np.float32)

    def error(rounded_by: np.ndarray | None) -> float:
        matrix = quantize(weight, rounded_by)
        wrong = matrix.load() * matrix.scale[:, None] - weight.load()
        return float(np.square(inputs @ wrong.T).mean())

    assert error(moment) < 0.7 * error(None)

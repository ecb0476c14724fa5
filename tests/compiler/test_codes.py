"""Every spike code gives the number it was given; signed digits are the fewest there can be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compiler.convert import convert, plan_graph
from compiler.netlist.kinds import KINDS, fold
from compiler.netlist.model import Netlist
from compiler.netlist.reach import digit_widths, reach
from compiler.netlist.wiring import Wiring
from compiler.passes import fit_digits as pass_file
from compiler.pipeline import build
from las_neuro.integers import WORD_LIMIT
from las_neuro.neurons.codes import FORMS, Code, decode, encode, largest_magnitude, spike_counts
from las_neuro.systems import find

Ints = NDArray[np.int64]
WIDTHS = {"binary": [1], "signed-digit": [1], "graded": [2, 3, 5, 8]}
CODES = [(form, width) for form, widths in WIDTHS.items() for width in widths]


def encoder(form: str, width: int, digits: int, **more: Any) -> dict[str, Any]:
    """Parameters of an encoder whose input is the magnitude itself."""
    return {
        **{"multiplier": np.array([1]), "shift": np.array([0]), "early": 0},
        **{"digits": digits, "digit_bits": width, "steps": -(-digits // width)},
        **{"signed_digit": int(form == "signed-digit"), "skipped": np.array([0])},
        **{"outlier_shift": 0, "outliers": np.array([0])},
        **more,
    }


def sent(x: Ints, p: dict[str, Any]) -> tuple[Ints, int]:
    """Payloads [steps, n] and clamps, step by step."""
    silence = [{"x": x * 0}] * (p["steps"] - 1)
    outcome = fold(KINDS["encode"], {}, [{"x": x}, *silence], p)
    return outcome.payload, outcome.clamps


def decoded(payload: Ints, p: dict[str, Any]) -> Ints:
    weights = 2 ** (p["digit_bits"] * np.arange(p["steps"]))
    return np.asarray(weights @ payload)


@pytest.mark.parametrize("digits", [4, 7, 12])
@pytest.mark.parametrize(("form", "width"), CODES)
def test_every_number_comes_back(form: str, width: int, digits: int) -> None:
    p = encoder(form, width, digits)
    top = largest_magnitude(form, digits)
    assert top == Code(digits, 1.0, form=form).top
    x = np.arange(-top, top + 1)
    payload, clamps = sent(x, p)
    np.testing.assert_array_equal(decoded(payload, p), x)
    assert clamps == 0
    assert np.abs(payload).max() <= 2**width - 1
    window = KINDS["encode"].window
    assert window is not None
    train = window({}, {"x": x}, p).train
    assert train is not None
    for k in range(p["steps"]):
        np.testing.assert_array_equal(train.at(k, p["steps"]), payload[k])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CODES), st.integers(4, 20), st.integers(0, 8), st.data())
def test_thresholds_and_saturation(
    code: tuple[str, int], digits: int, k: int, data: st.DataObject
) -> None:
    """Up to the first threshold exact, up to the second in steps of 2**k, beyond it clamped."""
    form, width = code
    top = largest_magnitude(form, digits)
    p = encoder(form, width, digits, outlier_shift=k, outliers=np.array([1]))
    most = min(WORD_LIMIT, (top + 2) << k)
    edges = [0, 1, top - 1, top, top + 1, top << k, (top << k) + 1, most]
    x = np.array([*edges, *data.draw(st.lists(st.integers(0, most), max_size=5))])
    x = np.minimum(np.concatenate((x, -x)), WORD_LIMIT)
    payload, clamps = sent(x, p)
    nearest = (np.abs(x) + (1 << k >> 1)) >> k  # halves up
    coarse = np.minimum(nearest, top) << k
    right = np.sign(x) * np.where(np.abs(x) <= top, np.abs(x), coarse)
    np.testing.assert_array_equal(decoded(payload, p), right)
    assert clamps == int(((np.abs(x) > top) & (nearest > top)).sum())


@pytest.mark.parametrize("skipped", [1, 3])
@pytest.mark.parametrize(("form", "width"), CODES)
def test_a_channel_that_skips_digits_is_coded_in_larger_steps(
    form: str, width: int, skipped: int
) -> None:
    digits = 9
    p = encoder(form, width, digits, skipped=np.array([0, skipped]))
    top = largest_magnitude(form, digits)
    for x in range(0, top + 1, 5):
        payload, clamps = sent(np.array([x, -x]), p)
        nearest = (x + 2**skipped // 2) >> skipped
        limit = largest_magnitude(form, digits - skipped)
        assert decoded(payload, p).tolist() == [x, -(min(nearest, limit) << skipped)]
        assert clamps == (nearest > limit)
        if width == 1:
            assert not payload[:skipped, 1].any()


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=40, deadline=None)
@given(st.integers(4, 20), st.integers(0, 7), st.integers(0, 3), st.data())
def test_the_closed_form_is_the_kind(
    form: str, digits: int, k: int, skipped: int, data: st.DataObject
) -> None:
    """neurons.codes in real numbers: channels with spread, outliers and skipped digits."""
    top = largest_magnitude(form, digits)
    halvings, outliers = np.array([0, 1, 0, 2]), np.array([False, True, True, False])
    skips = np.array([0, skipped, skipped, 0])
    p = encoder(form, 4 if form == "graded" else 1, digits, skipped=skips, outlier_shift=k) | {
        "multiplier": np.ones(4, np.int64),
        "shift": halvings,
        "outliers": outliers.astype(int),
    }
    most = min(WORD_LIMIT, (top + 2) << k)
    edges = [0, 1, 2, 3, top, top + 1, 2 * top + 1, most]
    drawn = data.draw(st.lists(st.integers(0, most), min_size=2, max_size=6))
    theta = (top + 1) * 0.375  # one unit is 0.375, exactly
    code = Code(digits, theta, k, outliers, True, form, 2.0**halvings, skips)
    for size in (*edges, *drawn):
        x = np.array([size, -size, -size, size]).clip(-WORD_LIMIT, WORD_LIMIT)
        payload, _ = sent(x, p)
        magnitude, sign = encode(code, x * code.unit)
        np.testing.assert_array_equal(magnitude * sign, decoded(payload, p))
        right = decoded(payload, p) * code.unit * 2.0**halvings
        np.testing.assert_array_equal(decode(code, magnitude, sign), right)
        if form != "graded":
            np.testing.assert_array_equal(spike_counts(code, magnitude), (payload != 0).sum(axis=0))


def fewest_signed_digits(digits: int) -> dict[int, int]:
    """Of every number, the fewest non-zero digits -1, 0, 1 that give it, by trying all."""
    found = {0: 0}
    for k in range(digits):
        wider = dict(found)
        for value, count in found.items():
            for digit in (-(2**k), 2**k):
                wider[value + digit] = min(wider.get(value + digit, digits), count + 1)
        found = wider
    return found


def test_signed_digits_are_the_fewest() -> None:
    digits, top = 8, largest_magnitude("signed-digit", 8)
    x = np.arange(-top, top + 1)
    payload, _ = sent(x, encoder("signed-digit", 1, digits))
    assert set(np.unique(payload)) == {-1, 0, 1}
    assert not (payload[1:] * payload[:-1]).any()  # no two neighbours
    fewest = fewest_signed_digits(digits + 1)
    assert (payload != 0).sum(axis=0).tolist() == [fewest[int(value)] for value in x]
    ones = np.array([bin(abs(int(value))).count("1") for value in x])
    assert (payload != 0).sum() < 0.85 * ones.sum()


def compiled(save_model: Callable[..., Path], family: str, form: str, digits: int) -> Netlist:
    _, graph = convert(save_model(family), system=find("las", {"steps": digits, "code": form}))
    return build(graph)


def encoders(net: Netlist) -> list[Any]:
    return [p for p in net.populations.values() if p.kind == "encode"]


@pytest.mark.parametrize("digits", [4, 16, 20])
@pytest.mark.parametrize("family", ["llama", "bert"])
def test_a_graded_spike_takes_the_digits_its_receivers_have_room_for(
    save_model: Callable[..., Path], family: str, digits: int
) -> None:
    """One digit a spike more, and a step could leave the word, or no step would be saved."""
    net = compiled(save_model, family, "graded", digits)
    wiring = Wiring(net)
    for population in encoders(net):
        receivers = net.out_of(population.name)
        worst = max(reach(wiring, group) for group in receivers)
        width, steps = population.params["digit_bits"], population.params["steps"]
        assert worst * (2**width - 1) <= WORD_LIMIT
        assert width == -(-digits // steps)
        fewer = -(-digits // (steps - 1)) if steps > 1 else digits
        assert steps == 1 or fewer > 8 or worst << fewer > WORD_LIMIT - 2
        assert len(population.sends) == steps
        assert sum(digit_widths(wiring, population.name)) == digits
        assert population.graded == (width > 1)
        assert all(net.populations[group.target].params["safe"] for group in receivers)


def test_a_spike_carries_fewer_digits_where_sums_are_long(
    save_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pass_file, "reach", lambda wiring, group: 2**20)
    found = {p.params["digit_bits"] for p in encoders(compiled(save_model, "llama", "graded", 16))}
    assert found == {2}


@pytest.mark.parametrize("form", FORMS)
def test_a_plan_takes_no_fewer_steps_than_the_model(
    save_model: Callable[..., Path], form: str
) -> None:
    net = compiled(save_model, "llama", form, 16)
    config = save_model("llama") / "config.json"
    planned = build(plan_graph(config, system=find("las", {"code": form})), weights=False)
    for population in encoders(net):
        steps = planned.populations[population.name].params["steps"]
        assert steps >= population.params["steps"]
        assert (steps < 16) == (form == "graded")

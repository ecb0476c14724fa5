"""Firing neurons against each paper's own formula, at thresholds and at saturation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compiler.netlist.kinds import KINDS
from las_neuro.neurons.firing import (
    Firing,
    count_spikes,
    decoded,
    elastic,
    fire,
    graded,
    phase,
    rate,
    twos_complement,
)

Doubles = NDArray[np.float64]
THOROUGH = settings(max_examples=200, deadline=None, derandomize=True)
CLIP = np.array([7])


def one(value: float) -> Doubles:
    return np.array([[value]])


def in_compartments(code: Firing, potential: int) -> list[int]:
    """What the kind sends for a value of so many potential units, step by step."""
    lift = np.zeros(1, np.int64) if code.lift is None else code.lift
    p = {
        "multiplier": np.ones(1, np.int64),
        "shift": np.zeros(1, np.int64),
        **{key: getattr(code, key) for key in ("offset", "low", "high", "level", "most", "steps")},
        **{key: np.array(getattr(code, key)) for key in ("theta", "reset", "send")},
        **{key: int(getattr(code, key)) for key in ("drive", "signed", "strict")},
        "lift": lift,
        "early": 0,
    }
    state, sent = {}, []
    for k in range(code.steps):
        x = np.array([potential if k == 0 else 0])
        outcome = KINDS["fire"].step(state, {"x": x}, p, k)
        state = outcome.state
        sent.append(int(outcome.payload[0]))
    return sent


NEURONS = {
    "if": rate(np.ones(1), np.full(1, 0.5), 8),
    "gif": graded(1.0, np.array([31]), 2, 16),
    "gif published": graded(1.0, np.array([31]), 2, 16, published=True),
    "count": graded(1.0, CLIP, 7, 1),
    "phase": phase(127.0, (64, 32, 16, 8, 4, 2, 1)),
    "phase of another base": phase(100.0, (50, 28, 15, 7)),
    "phase of a loud channel": phase(127.0, (64, 32, 16, 8, 4, 2, 1), lift=np.array([3])),
    "two's complement": twos_complement(1.0, 5),
    "two's complement of a loud channel": twos_complement(1.0, 5, lift=np.array([2])),
    "two bits": twos_complement(1.0, 2),
    "las published": phase(127.0, (64, 32, 16, 8, 4, 2, 1), published=True),
}


@pytest.mark.parametrize("name", NEURONS)
@given(potential=st.integers(-(2**14), 2**14))
@THOROUGH
def test_the_search_knows_what_the_chip_does(name: str, potential: int) -> None:
    """One neuron, written twice: in real numbers for the search, in integers for the chip."""
    code = NEURONS[name]
    assert code.spread is None or code.spread.tolist() == [1.0]
    value = one(potential) / code.factor
    assert fire(code, value)[:, 0, 0].tolist() == in_compartments(code, potential)


@given(st.floats(-1.0, 3.0), st.sampled_from([4, 8, 16]))
@THOROUGH
def test_if_is_the_quantised_clip_floor_of_its_model(x: float, steps: int) -> None:
    """FAS, section 3: T steps of IF from half a threshold are thr floor(clip(x / thr) T + 1/2) / T.

    Exactly, for values that the neuron's potential holds.
    """
    threshold = 1.25
    held = np.floor(x / threshold * 4096 + 0.5) / 4096
    code = rate(np.array([threshold]), np.array([0.5]), steps)
    wanted = threshold * np.floor(np.clip(held, 0, 1) * steps + 0.5) / steps
    assert decoded(code, one(held * threshold))[0, 0] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("steps", [2, 4])
def test_every_gif_code_comes_back(steps: int) -> None:
    """Corrected neurons return each code, published ones lose the top ones (SpikeLLM, 4.1)."""
    top = 16 * steps - 1
    codes = np.arange(-top, top + 1, dtype=np.float64)[:, None]
    right = graded(1.0, np.array([top]), steps, 16)
    np.testing.assert_array_equal(decoded(right, codes), codes)
    published = graded(1.0, np.array([top]), steps, 16, published=True)
    lost = codes - decoded(published, codes)
    expected = np.maximum(np.abs(codes) - steps * 15, 0) * np.sign(codes)
    np.testing.assert_array_equal(lost, expected)
    assert sorted(set(np.abs(lost).ravel())) == list(range(steps))


@given(st.integers(-200, 200))
@THOROUGH
def test_counts_are_signs_of_what_remains(c: int) -> None:
    """SpikingBrain's ternary train: s_t = sign(remaining), as long as the clip allows."""
    code = graded(1.0, CLIP, 7, 1)
    rest, wanted = max(-7, min(7, c)), []
    for _ in range(7):
        spike = (rest > 0) - (rest < 0)
        wanted.append(spike)
        rest -= spike
    assert fire(code, one(float(c)))[:, 0, 0].tolist() == wanted
    assert count_spikes(code, one(float(c)))[0, 0] == min(7, abs(c))


@given(st.floats(-300.0, 300.0), st.integers(2, 7), st.integers(0, 5))
@THOROUGH
def test_twos_complement_rounds_and_saturates(x: float, bits: int, lift: int) -> None:
    """To half a unit, up to ends that are not alike: -2**(bits - 1) and one unit less above."""
    code, whole = twos_complement(0.25, bits, lift=np.array([lift])), 0.25 * 2**lift
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    found = decoded(code, one(x))[0, 0]
    assert found == np.clip(np.floor(x / whole + 0.5), low, high) * whole
    if low - 0.5 <= x / whole < high + 0.5:
        assert abs(found - x) <= whole / 2


@pytest.mark.parametrize("bits", [2, 4, 7])
def test_small_negative_numbers_cost_many_spikes(bits: int) -> None:
    """A spike a bit of the word, top bit first; -1 is all ones, where a signed digit costs one."""
    counts = np.arange(-(2 ** (bits - 1)), 2 ** (bits - 1))
    code, x = twos_complement(1.0, bits), counts[:, None].astype(np.float64)
    words = [[int(bit) for bit in np.binary_repr(c, bits)] for c in counts]
    np.testing.assert_array_equal((fire(code, x)[:, :, 0] != 0).T, words)
    spikes = dict(zip(counts.tolist(), count_spikes(code, x)[:, 0].tolist(), strict=True))
    assert (spikes[-1], spikes[0], spikes[1]) == (bits, 0, 1)
    assert spikes[-(2 ** (bits - 1))] == 1


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=12))
@THOROUGH
def test_counts_are_where_st_bif_settles(inputs: list[float]) -> None:
    """ST-BIF+ (SpikeZIP-TF, arXiv 2406.03470): the golden count code, whatever order values come.

    q starts at 1/2; +1 at q >= 1 while acc < 7, -1 at q < 0 while acc > -7; the end is
    clamp(floor(x + 1/2)), the LSQ-quantised network's value.
    """
    inputs = [round(x * 64) / 64 for x in inputs]  # sums without rounding
    q, acc = 0.5, 0
    for x in [*inputs, *[0.0] * 64]:
        q += x
        spike = 1 if q >= 1 and acc < 7 else -1 if q < 0 and acc > -7 else 0
        q, acc = q - spike, acc + spike
    total = sum(inputs)
    assert acc == max(-7, min(7, int(np.floor(total + 0.5))))
    found = decoded(graded(1.0, CLIP, 7, 1), one(total))[0, 0]
    assert found == acc or abs(total - np.trunc(total)) == 0.5  # halves: up, or away from 0


@pytest.mark.parametrize("steps", [4, 8, 12])
def test_strict_thresholds_drop_grid_points_by_one(steps: int) -> None:
    """LAS's closed form: ceil(x 2**T / V) - 1, clipped, against rounding to nearest."""
    values = tuple(2**t for t in range(steps - 1, -1, -1))
    theta = float(2**steps - 1)
    x = np.array([1.0, 2.0, 2.5, 3.0, 2**steps - 2.0, 2**steps + 5.0])[:, None]
    published = decoded(phase(theta, values, published=True), x)[:, 0]
    np.testing.assert_array_equal(published, np.minimum(np.ceil(x[:, 0]) - 1, 2**steps - 1))
    rounded = decoded(phase(theta, values), x)[:, 0]
    np.testing.assert_array_equal(rounded, np.minimum(np.floor(x[:, 0] + 0.5), 2**steps - 1))


def test_lifted_channels_share_their_synapses() -> None:
    """A channel in steps of 4 units beside one of 1 unit: same payload unit, other resolution."""
    code = graded(0.5, np.array([15, 63]), 4, 16, lift=np.array([2, 0]))
    x = np.array([[5.1, 5.1], [-40.0, -40.0]])
    np.testing.assert_array_equal(decoded(code, x), [[6.0, 5.0], [-30.0, -31.5]])


@given(st.floats(-4, 4), st.floats(0.01, 8))
def test_elastic_neurons_round_and_clip(x: float, alpha: float) -> None:
    found = decoded(elastic(alpha), np.array([x * alpha]))[0]
    assert found in (0.0, alpha, -alpha)
    if abs(abs(x) - 0.5) > 2**-14:
        assert found == alpha * np.clip(np.rint(x), -1, 1)


def test_an_elastic_neuron_at_half_its_amplitude_is_silent() -> None:
    """As torch.round does it, halves to even; a neuron that fires at its threshold would not."""
    values = np.array([0.5, -0.5, 0.5001, -0.5001, 1.5, -40.0])
    np.testing.assert_array_equal(decoded(elastic(1.0), values), [0, 0, 1, -1, 1, -1])

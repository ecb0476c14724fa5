"""Phase coding's search: an outlier group, a margin where it costs nothing, sums that fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from las_neuro.graph import Floats, Node, Tensor
from las_neuro.neurons.firing import Firing, decoded, powers
from las_neuro.neurons.thresholds import Doubles, Site
from las_neuro.systems.phase import FULL, LARGEST, MARGIN, Phase


def site(sample: Doubles, weight: Floats | None = None, spread: Doubles | None = None) -> Site:
    """An encoder whose sample is all that calibration saw; read by `weight` [out, n], if any."""
    ones = np.ones(sample.shape[1])
    peaks = np.abs(sample).max(axis=0) / (1.0 if spread is None else spread)
    floor = 0.003**2 * float((sample**2 @ ones).mean())
    weights = {} if weight is None else {"weight": Tensor.of("w", weight)}
    readers = (Node("map", "linear", ("x",), {"c": 8}, {}, weights),) if weights else ()
    return Site(sample, peaks, spread, ones, floor, readers)


def loud(times: float = 30.0) -> Doubles:
    """128 tokens of 40 channels; the first three are so many times as loud."""
    gain = np.where(np.arange(40) < 3, times, 1.0)
    return np.random.default_rng(0).normal(size=(128, 40)) * gain


def error(at: Site, code: Firing) -> float:
    return float(at.errors(code).sum())


def reach(code: Firing) -> Doubles:
    """Largest magnitude of each channel that has a code."""
    lift = 0 if code.lift is None else code.lift
    return np.asarray(code.step * sum(code.send) * 2.0 ** np.broadcast_to(lift, 40))


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("spread", [None, np.linspace(0.5, 4.0, 40)])
def test_loud_channels_are_a_group_of_their_own(published: bool, spread: Doubles | None) -> None:
    at = site(loud(), spread=spread)
    one, two = (Phase(outliers=out, published=published).code(at) for out in (False, True))
    assert one.lift is None
    assert two.lift is not None
    assert two.lift[:3].min() > two.lift[3:].max()
    assert error(at, two) < 0.3 * error(at, one)
    assert (reach(two) * (1 + 1e-9) >= np.abs(at.sample).max(axis=0)).all()


def test_no_channel_is_lifted_beyond_what_a_group_reaches() -> None:
    """A channel a thousand times as loud as the rest: the rest gets coarse, nothing is clipped."""
    at = site(loud(1000.0))
    code = Phase().code(at)
    assert code.lift is not None
    assert code.lift.max() == 5
    assert (reach(code) * (1 + 1e-9) >= at.peaks).all()


def test_steps_to_spare_buy_a_margin_and_short_codes_have_none() -> None:
    """MARGIN over calibrated peaks, to a quarter of an octave, while rounding goes unnoticed."""
    at = site(loud())
    short, long = (Phase(steps=steps).code(at) for steps in (6, 14))
    assert (reach(long) > MARGIN / 2**0.25 * at.peaks).all()
    assert error(at, long) <= at.floor / 2
    assert (reach(short) < 2.0 * 1.0001 * at.peaks).any()
    assert error(at, short) > at.floor


def test_few_steps_take_a_base_above_2() -> None:
    """The larger base's last place is smaller: heavy tails gain by that what its gaps lose."""
    tails = site(np.random.default_rng(0).laplace(size=(256, 40)) ** 3)
    code = Phase(steps=4, outliers=False).code(tails)
    assert code.send[0] > 2**3
    assert Phase(steps=4, published=True).code(tails).send == powers(2.0, 4) == (8, 4, 2, 1)


def test_what_is_rounded_is_rounded_to_nearest() -> None:
    """Half a last place of offset, for every base: the smallest spike counts one unit."""
    for steps in (4, 8):
        code = Phase(steps=steps).code(site(loud()))
        assert code.send[-1] == 1
        x = np.array([-1.4, -0.6, -0.4, 0.4, 0.6, 1.4])[:, None]
        found = decoded(replace(code, unit=1.0, lift=None), x)
        np.testing.assert_array_equal(found, np.rint(x))


@pytest.mark.parametrize("steps", [8, 12, 16])
def test_sums_keep_inside_their_word(steps: int) -> None:
    """However fine the code could be; payloads times int8 weights, with MARGIN for other text."""
    weight = np.random.default_rng(1).normal(size=(8, 40)).astype(np.float32)
    at = site(loud(), weight)
    code = Phase(steps=steps).code(at)
    step = np.abs(weight).max(axis=1, keepdims=True) / 127
    sums = decoded(code, at.sample) / code.unit @ np.rint(weight / step).T
    assert np.abs(sums).max() < FULL / MARGIN * 1.05
    assert max(code.send) <= LARGEST

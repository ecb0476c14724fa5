"""Thresholds by search: nothing seen is clamped, short codes gain, long ones need no outliers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compiler.convert import calibrated, convert
from las_neuro.calibration import ranges as measuring
from las_neuro.calibration.ranges import calibrate
from las_neuro.errors import ConfigError
from las_neuro.neurons.codes import FORMS, Code, decode, encode, spike_counts
from las_neuro.neurons.thresholds import (
    ALLOWED,
    MARGIN,
    OUTLIERS_COST,
    Doubles,
    Site,
    search,
    spared,
)
from las_neuro.systems import find

SaveModel = Callable[..., Path]  # the fixture save_model


def site(sample: Doubles, weight: Doubles | None = None, spread: Doubles | None = None) -> Site:
    """An encoder whose sample is all that calibration saw."""
    weight = np.ones(sample.shape[1]) if weight is None else weight
    peaks = np.abs(sample).max(axis=0) / (1.0 if spread is None else spread)
    return Site(sample, peaks, spread, weight, 0.003**2 * float((sample**2 @ weight).mean()))


def heavy_tailed() -> Doubles:
    """128 tokens of 40 channels; the first three are 30 times as loud."""
    loud = np.where(np.arange(40) < 3, 30.0, 1.0)
    return np.random.default_rng(0).normal(size=(128, 40)) * loud


def error(at: Site, code: Code) -> float:
    return float(at.errors(code).sum())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("steps", [4, 8, 16])
@pytest.mark.parametrize("spread", [None, np.linspace(0.5, 4.0, 40)])
def test_nothing_seen_comes_near_a_clamp(form: str, steps: int, spread: Doubles | None) -> None:
    at = site(heavy_tailed(), spread=spread)
    code = search(at, steps, form)
    reach = np.full(40, code.theta)
    if code.outliers is not None:
        reach = reach * np.where(code.outliers, 2.0**code.outlier_shift, 1.0)
        assert 1 <= code.outlier_shift <= 7
    assert (reach * (1 + 1e-9) >= MARGIN * at.peaks).all()


def test_short_codes_take_outliers_and_long_ones_do_without() -> None:
    at = site(heavy_tailed())
    short, long = search(at, 6, "binary"), search(at, 16, "binary")
    assert short.outliers is not None
    assert long.outliers is None
    assert error(at, short) < 0.1 * error(at, search(at, 6, "binary", ranges=1))


def test_one_range_is_the_margin_over_the_peak() -> None:
    at = site(heavy_tailed())
    for steps in (4, 16):
        code = search(at, steps, "binary", ranges=1)
        assert (code.outlier_shift, code.outliers) == (0, None)
        assert code.theta == pytest.approx(MARGIN * at.peaks.max())


def test_the_search_is_no_worse_than_any_threshold_beside_it() -> None:
    at = site(heavy_tailed())
    found = search(at, 5, "binary")
    assert found.outliers is not None
    for factor in (0.5, 2.0):
        theta, shift = found.theta * factor, found.outlier_shift - int(np.log2(factor))
        outliers = MARGIN * at.peaks > theta
        beside = replace(found, theta=theta, outlier_shift=shift, outliers=outliers)
        costs = [
            (error(at, code) + at.floor) * (1 + OUTLIERS_COST * np.mean(code.outliers))
            for code in (found, beside)
            if code.outliers is not None
        ]
        assert costs[0] <= costs[1]


def test_channels_that_matter_less_skip_more_digits() -> None:
    weight = np.where(np.arange(40) < 20, 1.0, 1e-4)
    at = site(np.random.default_rng(1).normal(size=(128, 40)), weight)
    code = search(at, 12, "binary")
    sparing = spared(at, code)
    assert sparing.skipped is not None
    assert sparing.skipped[20:].min() > sparing.skipped[:20].max()
    assert sparing.skipped.max() < 12
    whole = error(at, code) + at.floor
    assert error(at, sparing) + at.floor <= (1 + ALLOWED) * whole
    spikes = [spike_counts(c, encode(c, at.sample)[0]).mean() for c in (code, sparing)]
    assert spikes[1] < 0.8 * spikes[0]


@pytest.mark.parametrize("form", ["binary", "signed-digit"])
def test_spikes_are_the_digits_that_are_set(form: str) -> None:
    code, x = Code(10, 600.0, form=form), np.arange(600.0)[:, None]
    magnitude, payload = encode(code, x)
    counts = spike_counts(code, magnitude)[:, 0]
    np.testing.assert_allclose(decode(code, magnitude, payload), x, atol=0.51 * code.unit)
    for m, count in zip(magnitude[:, 0].tolist(), counts.tolist(), strict=True):
        digits = 0
        while m:
            digit = (2 - m % 4 if form == "signed-digit" else 1) if m % 2 else 0
            digits, m = digits + abs(digit), (m - digit) // 2
        assert digits == count


def test_every_encoder_and_memory_keeps_a_sample(save_model: SaveModel, tokens: np.ndarray) -> None:
    graph = calibrated(save_model("llama")).graph
    for node in graph:
        coded = node.op == "memory" or (node.op == "encode" and node["signed"])
        assert node.range is not None
        assert (node.range.sample is not None) == coded
        if node.range.sample is not None:
            written = graph[node.inputs[0]] if node.op == "memory" else node
            assert node.range.sample.shape[1] == written.size
            assert np.abs(node.range.sample).max() <= node.range.peak
            assert len(node.range.sample) <= measuring.SAMPLE_TOKENS
    small = calibrate(graph, [tokens])
    for node in small:
        if node.range is not None and node.range.sample is not None:
            assert len(node.range.sample) == min(measuring.SAMPLE_TOKENS, tokens.size)


def test_samples_fit_their_memory(
    save_model: SaveModel, tokens: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "SAMPLE_BYTES", 8000)
    graph = calibrate(calibrated(save_model("llama")).graph, [tokens[:2], tokens[2:]])
    samples = [node.range.sample for node in graph if node.range and node.range.sample is not None]
    assert 0 < sum(sample.nbytes for sample in samples) <= 8000


def thresholded(save_model: SaveModel, **options: object) -> dict[str, Code]:
    _, graph = convert(save_model("llama"), system=find("las", {"steps": 6, **options}))
    return {node.name: node["code"] for node in graph if node.op == "encode"}


def test_options_reach_the_encoders(save_model: SaveModel) -> None:
    one = thresholded(save_model, ranges=1)
    assert all(code.outliers is None for code in one.values())
    assert any(code.outliers is not None for code in thresholded(save_model).values())
    sparing = thresholded(save_model, channel_steps=True)
    assert any(code.skipped is not None and code.skipped.any() for code in sparing.values())
    with pytest.raises(ConfigError, match="ranges = 3: "):
        thresholded(save_model, ranges=3)

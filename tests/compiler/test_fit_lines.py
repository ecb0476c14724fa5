"""The integer tables against the functions they stand for, over the whole 24-bit range."""

from __future__ import annotations

import numpy as np
import pytest

from compiler.netlist.arrays import WORD_LIMIT
from compiler.netlist.kinds import KINDS
from compiler.passes.fit_lines import BOUNDED, antilog_table, octave_table, segment_table

RANGE = np.linspace(-WORD_LIMIT, WORD_LIMIT, 20_001).astype(np.int64)


@pytest.mark.parametrize("fn", BOUNDED)
@pytest.mark.parametrize("unit", [1e-8, 1e-7, 2e-6, 1e-5, 1e-4])
def test_bounded_functions(fn: str, unit: float) -> None:
    """Error below 2e-4 of 1, and nothing wider than a word, however small the inputs."""
    table = segment_table(fn, unit, unit)
    assert max(abs(table["origin"]), np.abs(table["base"]).max()) <= WORD_LIMIT
    found = KINDS["segment"].step({}, {"x": RANGE}, table, 0).payload * unit
    wanted = BOUNDED[fn][0](np.clip(RANGE * unit, -700, None))
    np.testing.assert_allclose(found, wanted, atol=2e-4, rtol=2e-6)


@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("unit", [2.0**-20, 1e-5, 3.0])
def test_powers_have_a_relative_error_in_every_octave(root: bool, unit: float) -> None:
    x = np.unique(np.geomspace(2**10, WORD_LIMIT, 5_000).astype(np.int64))
    power = -0.5 if root else -1.0
    peak = (x[0] * unit) ** power
    out = peak / 2**22
    found = KINDS["octave"].step({}, {"x": x}, octave_table(root, unit, out), 0).payload * out
    wanted = (x * unit) ** power
    np.testing.assert_allclose(found, wanted, rtol=1.5e-5, atol=out)


def test_antilog_has_a_relative_error_in_every_octave() -> None:
    table = antilog_table(12, 65_535) | {"arrivals": 1}
    below = np.arange(0, 9 << 12)
    inputs = {"x": (1 << 20) - below, "reference": np.full_like(below, 1 << 20)}
    found = KINDS["antilog"].step({}, inputs, table, 0).payload
    np.testing.assert_allclose(found, 65_535 * 2.0 ** (-below / 4096), rtol=2.5e-5, atol=1.0)

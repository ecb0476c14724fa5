"""Each table's stated error against what its compartment computes, and the fits against no better.

`segment` and `octave` are held on every integer of short ranges, and on dense, random and extreme
ones of the whole word; `antilog` on every distance.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.convert import plan_graph
from compiler.functions.fit_functions import (
    ANTILOG_BUDGET,
    BOUNDED,
    MOST_SEGMENTS,
    OCTAVE_BUDGET,
    Fit,
    antilog_fit,
    octave_fit,
    segment_fit,
)
from compiler.functions.fit_lines import Curve, Lines, fit_lines, join, largest_errors, parts
from compiler.netlist.kinds import KINDS
from compiler.netlist.model import Netlist
from compiler.passes.lower import lower
from compiler.passes.split_phases import split_phases
from compiler.task import Task
from las_neuro.errors import ConfigError
from las_neuro.integers import WORD_LIMIT, shift_right

SOME = settings(max_examples=40, deadline=None, derandomize=True)
DENSE = np.unique(
    np.concatenate(
        [
            np.linspace(-WORD_LIMIT, WORD_LIMIT, 200_001).astype(np.int64),
            np.random.default_rng(0).integers(-WORD_LIMIT, WORD_LIMIT, 100_000),
            np.arange(-5_000, 5_000),
        ]
    )
)
EXACT = 1e-6  # of a last place: what float64 loses in the functions themselves


def sent(kind: str, table: Any, x: np.ndarray, **inputs: np.ndarray) -> np.ndarray:
    return np.asarray(KINDS[kind].step({}, {"x": x, **inputs}, table, 0).payload)


def segment_errors(fn: str, unit_in: float, unit_out: float, fit: Fit, x: np.ndarray) -> np.ndarray:
    wanted = (BOUNDED[fn].f(x * unit_in) / unit_out).clip(-WORD_LIMIT, WORD_LIMIT)
    return np.asarray(np.abs(sent("segment", fit.table, x) - wanted))


@pytest.mark.parametrize("fn", BOUNDED)
@pytest.mark.parametrize("unit", [1e-8, 1e-7, 2e-6, 1e-5, 1e-4, 3.0])
@pytest.mark.parametrize("ratio", [1.0, 0.25, 4.0, 1.3])
def test_segment_keeps_its_stated_error(fn: str, unit: float, ratio: float) -> None:
    fit = segment_fit(fn, unit, unit * ratio)
    x = np.unique(np.append(DENSE, fit.at + np.arange(-9, 10)).clip(-WORD_LIMIT, WORD_LIMIT))
    found = segment_errors(fn, unit, unit * ratio, fit, x).max()
    assert fit.lines <= MOST_SEGMENTS
    assert found <= fit.error + EXACT
    if not (np.abs(fit.table["base"]) == WORD_LIMIT).any():  # no segment in which saturation starts
        assert fit.error <= 1.05 * found + 0.6  # rounding by half a place may not meet the worst x
    assert max(abs(fit.table["origin"]), np.abs(fit.table["base"]).max()) <= WORD_LIMIT


@pytest.mark.parametrize("fn", BOUNDED)
def test_segment_on_every_integer(fn: str) -> None:
    """Units so coarse that all that is not asymptote fits in some thousand integers."""
    unit_in, unit_out = 0.01, 2.0**-16
    fit = segment_fit(fn, unit_in, unit_out, 3.0)
    x = np.arange(-4_000, 4_000)
    assert segment_errors(fn, unit_in, unit_out, fit, x).max() <= fit.error + EXACT


@SOME
@given(
    fn=st.sampled_from(sorted(BOUNDED)),
    unit=st.floats(1e-9, 10.0),
    ratio=st.floats(0.01, 100.0),
    width=st.integers(-WORD_LIMIT, WORD_LIMIT - 2_000),
)
def test_segment_keeps_its_stated_error_for_any_units(
    fn: str, unit: float, ratio: float, width: int
) -> None:
    fit = segment_fit(fn, unit, unit * ratio)
    x = np.concatenate([DENSE[::20], width + np.arange(2_000)])
    assert segment_errors(fn, unit, unit * ratio, fit, x).max() <= fit.error * (1 + 1e-9) + EXACT


@pytest.mark.parametrize("fn", BOUNDED)
def test_the_bends_and_asymptotes_are_the_functions(fn: str) -> None:
    x, h = np.linspace(-20, 20, 40_001), 1e-3
    f, bounded = BOUNDED[fn].f, BOUNDED[fn]
    second = np.abs(f(x + h) - 2 * f(x) + f(x - h)) / h**2
    assert 0.999 * bounded.bend <= second.max() <= bounded.bend
    for side, (slope, offset) in ((-1, bounded.left), (1, bounded.right)):
        far = side * np.array([40.0, 200.0])
        np.testing.assert_allclose(f(far), slope * far + offset, atol=1e-12)


@pytest.mark.parametrize("fn", ["gelu", "silu", "tanh"])
def test_the_fewest_lines_that_keep_a_budget(fn: str) -> None:
    """Half the lines would not do, and a larger budget never takes more."""
    counts = []
    for budget in (8.0, 16.0, 64.0, 1024.0):
        fit = segment_fit(fn, 2e-5, 2e-5, budget)
        assert fit.error <= budget
        counts.append(fit.lines)
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < counts[0] / 8


def test_asymptotes_are_exact_where_the_units_are_binary_multiples() -> None:
    """And cost what is stated where they are not."""
    x = np.arange(WORD_LIMIT - 10_000, WORD_LIMIT + 1)
    exact, rounded = segment_fit("gelu", 1e-5, 2e-5), segment_fit("gelu", 1e-5, 1.3e-5)
    assert segment_errors("gelu", 1e-5, 2e-5, exact, x).max() <= 1.0 + EXACT  # base and line round
    assert 1.0 < segment_errors("gelu", 1e-5, 1.3e-5, rounded, x).max() <= rounded.error + EXACT


def test_a_budget_that_cannot_be_kept_gets_the_finest_table() -> None:
    finest = segment_fit("silu", 1e-5, 1e-5, 0.3)
    assert MOST_SEGMENTS / 2 < finest.lines <= MOST_SEGMENTS
    assert finest.error > 0.3
    assert octave_fit(False, 1e-5, 1e-5, 1e-9).lines == 512
    assert antilog_fit(12, 65_535, 1e-9).lines == 512
    assert antilog_fit(4, 65_535, 1e-9).lines == 16


@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("unit", [2.0**-20, 1e-5, 3.0])
@pytest.mark.parametrize("budget", [1e-2, 1e-3, OCTAVE_BUDGET, 8e-6, 2e-6])
def test_octave_keeps_its_stated_error(root: bool, unit: float, budget: float) -> None:
    """Relative, and half a last place: on all small x, and on each line and octave."""
    out = (2**10 * unit) ** (-0.5 if root else -1.0) / 2**22
    fit = octave_fit(root, unit, out, budget)
    assert fit.error <= budget
    x = np.unique(
        np.concatenate(
            [
                np.arange(1, 20_000),
                np.geomspace(1, WORD_LIMIT, 100_000).astype(np.int64),
                np.clip(fit.at + np.arange(-50, 50), 1, WORD_LIMIT),
            ]
        )
    )
    wanted = (x * unit) ** (-0.5 if root else -1.0) / out
    found = sent("octave", fit.table, x)
    free = found < WORD_LIMIT
    off = np.abs(found - wanted)
    assert (off[free] <= fit.error * wanted[free] + 0.5 + EXACT).all()
    assert (wanted[~free] * (1 + fit.error) >= WORD_LIMIT).all()
    assert (np.diff(found) <= 0).all()


@pytest.mark.parametrize(("root", "budget"), [(False, 1e-3), (True, 1e-3), (False, 5e-6)])
def test_octave_error_is_tight_and_never_rises(root: bool, budget: float) -> None:
    """All x of the two highest octaves, with a payload as fine as the line."""
    power, out = -0.5 if root else -1.0, 2.0 ** (-11 if root else -21) * 0.75 / 2**22
    fit = octave_fit(root, 1.0, out, budget)
    x = np.arange(2**21, 2**23)
    found, wanted = sent("octave", fit.table, x), x**power / out
    off = np.abs(found - wanted) / wanted
    assert 0.95 * fit.error - 4e-7 <= off.max() <= fit.error + 4e-7
    assert off[fit.at - x[0]] >= 0.95 * fit.error - 4e-7
    assert (np.diff(found) <= 0).all()


@pytest.mark.parametrize("one", [1, 255, 65_535, 2**20 - 1])
@pytest.mark.parametrize("budget", [1e-2, 1e-3, ANTILOG_BUDGET])
def test_antilog_keeps_its_stated_error(one: int, budget: float) -> None:
    fit = antilog_fit(12, one, budget)
    assert fit.error <= max(budget, 2 / one)
    table = {**fit.table, "arrivals": 1}
    below = np.arange(0, 22 << 12)
    reference = np.full_like(below, 1 << 20)
    found = sent("antilog", table, reference - below, reference=reference)
    wanted = one * 2.0 ** (-below / 4096)
    first = below < 4096
    assert (np.abs(found - wanted)[first] <= fit.error * wanted[first] + EXACT).all()
    assert (np.abs(found - wanted) <= fit.error * wanted + 0.5 * ~first + EXACT).all()
    tight = (np.abs(found - wanted) / wanted)[first].max()
    assert fit.error <= 1.01 * tight + 1.1 / one
    assert (np.diff(found) <= 0).all()
    assert found[0] <= one


@pytest.mark.parametrize("fn", ["logistic", "tanh", "silu", "gelu"])
@pytest.mark.parametrize("unit", [3e-6, 1e-3])
def test_segments_rise_where_the_function_does(fn: str, unit: float) -> None:
    """Every joint and the parts about it; gelu and silu fall left of their least value."""
    table = segment_fit(fn, unit, 1e-6, 2000.0 if BOUNDED[fn].right[0] else 30.0).table
    joints = table["origin"] + (np.arange(len(table["base"])) << table["width"])
    x = np.unique((joints[:, None] + np.arange(-40, 41)).clip(-WORD_LIMIT, WORD_LIMIT))
    step = np.diff(sent("segment", table, x))
    least = {"silu": -1.2785, "gelu": -0.7518}.get(fn, -math.inf) / unit
    turning = np.abs(x[1:] - least) <= 2 << table["width"]
    assert (step[(x[1:] > least) & ~turning] >= 0).all()
    assert (step[(x[1:] < least) & ~turning] <= 0).all()


@SOME
@given(
    value=st.lists(st.floats(-300, 300), min_size=2, max_size=5),
    shift=st.integers(0, 3),
)
def test_no_neighbouring_line_is_better(value: list[float], shift: int) -> None:
    """A short segment against all lines about it, on the convex curve through sorted rises."""
    curve_values = np.cumsum(np.sort(np.array(value)))[None]
    part = np.arange(len(value))
    curve = Curve(curve_values, part, np.ones_like(curve_values), np.zeros(1))
    lines = fit_lines(curve, steepest=(2**17 - 2) / 2.0**shift)
    error = largest_errors(lines, curve)[0][0]
    best = math.inf
    for base, slope in itertools.product(range(-4, 5), range(-40, 41)):
        line = lines.base + base + shift_right((lines.slope + slope) * part, lines.shift)
        best = min(best, float(np.abs(line - curve_values).max()))
    assert error <= best + 0.51


@SOME
@given(
    base=st.lists(st.integers(-50, 50), min_size=2, max_size=12),
    slope=st.integers(1, 2**12),
    width=st.integers(0, 5),
    falling=st.booleans(),
)
def test_join_keeps_the_order(base: list[int], slope: int, width: int, falling: bool) -> None:
    way = -1 if falling else 1
    lines = Lines(way * np.sort(np.array(base)), np.full(len(base), way * slope), 8)
    joined = join(lines, 1 << width)
    ends = joined.last(1 << width)
    assert (way * (joined.base[1:] - ends[:-1]) >= 0).all()
    assert (way * (ends - joined.base)[:-1] >= 0).all()


ASKED = {"gelu": 200.0, "inverse_sqrt": 1e-3, "reciprocal": 1e-3, "exponential": 1e-2}


def lowered(folder: Path, asked: dict[str, float]) -> Netlist:
    """A model's populations, with these budgets asked for by function."""
    graph = split_phases(plan_graph(folder), Task())
    for name, node in graph.nodes.items():
        error = asked.get(node.attributes.get("fn", node.op))
        if error is not None:
            graph.nodes[name] = node.with_attributes(hg_error=error)
    return lower(graph, Task(weights=False))


def test_a_graph_asks_for_its_errors(plan: Callable[..., Path]) -> None:
    """Fewer lines for a larger budget, in every kind that has lines."""
    folder = plan("bert")
    usual, asked = lowered(folder, {}), lowered(folder, ASKED)
    seen = set()
    for name, population in usual.populations.items():
        if population.does.tables:
            seen.add((population.kind, population.params.get("root")))
            few = asked.populations[name]
            assert len(few.params["base"]) < len(population.params["base"])
            # The kind's asymptotes are exact: the output counts a power of two of the input.
            ratio = math.log2(few.unit / population.unit)
            assert ratio == int(ratio)
    assert seen == {("segment", None), ("octave", 0), ("octave", 1), ("antilog", None)}


def test_what_a_graph_asks_for_in_vain_is_refused(plan: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match=r"act_fn: .* lines, .* error budget leaves it 0.001"):
        lowered(plan("bert"), {"gelu": 0.001})
    with pytest.raises(ConfigError, match=r"weights: 512 lines, .* error budget leaves it 1e-09"):
        lowered(plan("bert"), {"exponential": 1e-9})


def test_parts_are_all_or_a_sample_with_both_ends() -> None:
    assert parts(0).tolist() == [0]
    assert parts(6).tolist() == list(range(64))
    assert len(parts(20)) == 65
    assert (parts(20)[0], parts(20)[-1]) == (0, 2**20 - 1)

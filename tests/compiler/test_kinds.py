"""Every kind: `window` is the fold of `step`, bit for bit, on random and on extreme inputs.

Arrays are [batch, tokens, n] where a kind has one axis.  The step side runs every sequence and
token for itself, as the stepper does; the window side takes all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from compiler.functions.fit_functions import antilog_fit, octave_fit, segment_fit
from compiler.netlist.kinds import KINDS, fold
from compiler.netlist.kinds.integrate import segments
from compiler.netlist.trains import Digits, Train, Volley
from las_neuro.integers import (
    WORD_LIMIT,
    below_leading_bit,
    leading_bit,
    ones,
    saturate,
    shift_right,
    wrap,
)

Ints = NDArray[np.int64]
Draw = st.DrawFn
THOROUGH = settings(max_examples=150, deadline=None, derandomize=True)


@dataclass
class Run:
    """One kind with its inputs, for both sides."""

    kind: str
    params: dict[str, Any]
    inputs: list[dict[str, Ints]]  # a step each; port -> [batch, tokens, n]
    arrivals: dict[str, Any] = field(default_factory=dict)  # what `window` takes


def words(
    draw: Draw, shape: tuple[int, ...], low: int = -WORD_LIMIT, high: int = WORD_LIMIT
) -> Ints:
    """Integers of a word, the ends and powers of two more often than others."""
    near = [
        0,
        1,
        -1,
        low,
        high,
        low + 1,
        high - 1,
        *(2**k for k in range(24)),
        *(-(2**k) for k in range(24)),
    ]
    ends = st.sampled_from([x for x in near if low <= x <= high])
    return draw(arrays(np.int64, shape, elements=ends | st.integers(low, high)))


def shapes(draw: Draw) -> tuple[int, int, int]:
    return draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(1, 4))


def spread(draw: Draw, n: int, low: int, high: int) -> Ints:
    """One value for all compartments or one for each."""
    return words(draw, (draw(st.sampled_from([1, n])),), low, high)


def split(draw: Draw, total: Ints, steps: int) -> list[Ints]:
    """A graded value that arrives whole at one of the steps."""
    at = draw(st.integers(0, steps - 1))
    return [total * (k == at) for k in range(steps)]


@st.composite
def input_runs(draw: Draw) -> Run:
    host = words(draw, shapes(draw))
    return Run("input", {}, [{"host": host}], {"host": host})


@st.composite
def encode_runs(draw: Draw) -> Run:
    shape = shapes(draw)
    n, digits, early = shape[2], draw(st.integers(4, 20)), draw(st.integers(0, 1))
    width, signed = draw(st.sampled_from([(1, 0), (1, 1), (2, 0), (5, 0), (8, 0)]))
    steps = -(-digits // width)
    params = {
        "multiplier": spread(draw, n, -(2**15), 2**15),
        "shift": spread(draw, n, 0, 48),
        "digits": digits,
        "digit_bits": width,
        "signed_digit": signed,
        "skipped": spread(draw, n, 0, digits - 1) * draw(st.booleans()),
        "steps": steps,
        "early": early,
        "outlier_shift": draw(st.integers(0, 8)),
        "outliers": spread(draw, n, 0, 1),
    }
    x = words(draw, shape)
    came = split(draw, x, early + 1)
    silence = x * 0
    inputs = [{"x": came[k] if k <= early else silence} for k in range(early + steps)]
    return Run("encode", params, inputs, {"x": x})


@st.composite
def few_spikes_runs(draw: Draw) -> Run:
    count, domains = draw(st.integers(1, 16)), draw(st.integers(1, 4))

    def table(size: int) -> Ints:
        return words(draw, (size,), -(2**17), 2**17)

    params = {"count": count, "edges": np.sort(table(domains))}
    params |= {key: table(domains * count) for key in ("theta", "reset", "d")}
    x = words(draw, shapes(draw))
    return Run("few_spikes", params, [{"x": x}, *[{"x": x * 0}] * (count - 1)], {"x": x})


@st.composite
def fire_runs(draw: Draw) -> Run:
    shape = shapes(draw)
    n, steps, early = shape[2], draw(st.integers(1, 16)), draw(st.integers(0, 1))
    level = draw(st.sampled_from([1, 1, 4, 16]))

    def table(low: int, high: int) -> Ints:
        return words(draw, (steps,), low, high)

    params = {
        "multiplier": spread(draw, n, -(2**15), 2**15),
        "shift": spread(draw, n, 0, 48),
        "offset": spread(draw, n, -(2**12), 2**12),
        "low": spread(draw, n, -(2**16), 0) * draw(st.booleans()),
        "high": spread(draw, n, 0, 2**16),
        "theta": table(1, 2**12) * (1 - 2 * table(0, 1)),
        "reset": table(-(2**12), 2**12),
        "send": table(-(2**8), 2**8),
        "level": level,
        "most": draw(st.integers(1, level)),
        "lift": spread(draw, n, 0, 5),
        "steps": steps,
        "early": early,
        "drive": draw(st.integers(0, 1)),
        "signed": draw(st.integers(0, 1)),
        "strict": draw(st.integers(0, 1)),
    }
    x = words(draw, shape)
    came = split(draw, x, early + 1)
    inputs = [{"x": came[k] if k <= early else x * 0} for k in range(early + steps)]
    return Run("fire", params, inputs, {"x": x})


@st.composite
def leak_runs(draw: Draw) -> Run:
    shape = shapes(draw)
    params = {
        "multiplier": spread(draw, shape[2], 0, 2**15),
        "shift": spread(draw, shape[2], 0, 48),
        "threshold": draw(st.integers(0, 2**20)),
        "gain": spread(draw, shape[2], 0, 2**15),
        "divide": spread(draw, shape[2], 0, 48),
    }
    x = words(draw, shape)
    return Run("leak", params, [{"x": x}], {"x": x})


@st.composite
def integrate_runs(draw: Draw) -> Run:
    shape = shapes(draw)
    steps, n = draw(st.integers(1, 20)), shape[2]
    cuts = [0, *(draw(st.integers(0, 20)) * draw(st.booleans()) for _ in range(steps - 1))]
    low = draw(st.sampled_from([-WORD_LIMIT, -2047, 0, 1]))
    params = {
        "shift": tuple(draw(st.integers(0, 22)) for _ in range(steps)),
        "cut": tuple(cuts),
        "multiplier": spread(draw, n, -(2**15), 2**15),
        "divide": spread(draw, n, 0, 63),
        "bias": spread(draw, n, -WORD_LIMIT, WORD_LIMIT),
        "low": low,
        "high": draw(st.sampled_from([WORD_LIMIT, 2047])),
        "gated": draw(st.integers(0, 1)),
        "safe": 0,
    }
    limit = draw(st.sampled_from([1, 127, WORD_LIMIT]))
    a = [words(draw, shape, -limit, limit) for _ in range(steps)]
    enable = split(draw, words(draw, shape, 0, 1), steps)
    inputs = [{"a": a[k], "enable": enable[k]} for k in range(steps)]
    sums = [sum(a[k] << params["shift"][k] for k in range(*run)) for run in segments(params)]
    return Run("integrate", params, inputs, {"a": sums, "enable": sum(enable)})


@st.composite
def product_runs(draw: Draw) -> Run:
    shape, count = shapes(draw), draw(st.integers(1, 3))
    a, b = words(draw, shape), words(draw, shape)
    came = zip(split(draw, a, count), split(draw, b, count), strict=True)
    params = {"shift": draw(st.integers(0, 63)), "arrivals": count}
    return Run("product", params, [{"a": x, "b": y} for x, y in came], {"a": a, "b": b})


@st.composite
def segment_runs(draw: Draw) -> Run:
    lines = draw(st.integers(1, 9))
    params = {
        "origin": draw(st.integers(-WORD_LIMIT, WORD_LIMIT)),
        "width": draw(st.integers(0, 22)),
        "shift": draw(st.integers(0, 31)),
        "base": words(draw, (lines,)),
        "slope": words(draw, (lines,), -(2**17), 2**17),
    }
    if draw(st.booleans()):
        unit = draw(st.sampled_from([1e-6, 1e-4, 0.01]))
        params = dict(segment_fit("silu", unit, 1e-5).table)
    x = words(draw, shapes(draw))
    return Run("segment", params, [{"x": x}], {"x": x})


@st.composite
def octave_runs(draw: Draw) -> Run:
    root, lines_log2 = draw(st.integers(0, 1)), draw(st.integers(0, 3))
    lines = (1 + root) << lines_log2
    params = {
        "root": root,
        "lines_log2": lines_log2,
        "exponent": draw(st.integers(-64, 63)),
        "shift": draw(st.integers(0, 31)),
        "base": words(draw, (lines,)),
        "slope": words(draw, (lines,)),
    }
    if draw(st.booleans()):
        unit = draw(st.sampled_from([1e-7, 1e-3, 0.5]))
        params = dict(octave_fit(bool(root), unit, 1e-5).table)
    x = words(draw, shapes(draw))
    return Run("octave", params, [{"x": x}], {"x": x})


@st.composite
def antilog_runs(draw: Draw) -> Run:
    shape, count = shapes(draw), draw(st.integers(1, 3))
    one = draw(st.sampled_from([1, 255, 2**16 - 1, 2**20 - 1]))
    params = {**antilog_fit(draw(st.integers(6, 15)), one).table, "arrivals": count}
    x, reference = words(draw, shape, 0), words(draw, shape, 0)
    if draw(st.booleans()):  # near each other, as scores and their maximum are
        reference = (x + words(draw, shape, -9, 2**16)).clip(0, WORD_LIMIT)
    came = zip(split(draw, x, count), split(draw, reference, count), strict=True)
    inputs = [{"x": a, "reference": b} for a, b in came]
    return Run("antilog", params, inputs, {"x": x, "reference": reference})


ALONE: dict[str, Callable[[], st.SearchStrategy[Run]]] = {
    "input": input_runs,
    "encode": encode_runs,
    "fire": fire_runs,
    "few_spikes": few_spikes_runs,
    "leak": leak_runs,
    "integrate": integrate_runs,
    "product": product_runs,
    "segment": segment_runs,
    "octave": octave_runs,
    "antilog": antilog_runs,
}
TOGETHER = {"pointer", "compete", "any"}  # tests of their own, below


def test_no_kind_is_left_out() -> None:
    """Here, or in a property of the kind's own file."""
    assert not set(ALONE) & TOGETHER
    assert set(ALONE) | TOGETHER <= set(KINDS)
    for kind in set(KINDS) - set(ALONE) - TOGETHER:
        own = Path(__file__).parents[1] / f"kinds/test_{kind}.py"
        assert "@given" in own.read_text("utf-8"), f"{kind} has no property"


def by_steps(run: Run) -> tuple[Ints, int, int]:
    """Payloads [steps, batch, tokens, n], clamps, wraps: `step` folded for every token."""
    batch, tokens, n = next(iter(run.inputs[0].values())).shape
    sent, clamps, wraps = np.zeros((len(run.inputs), batch, tokens, n), np.int64), 0, 0
    for b, t in np.ndindex(batch, tokens):
        inputs = [{port: x[b, t] for port, x in arriving.items()} for arriving in run.inputs]
        outcome = fold(KINDS[run.kind], {}, inputs, run.params)
        sent[:, b, t] = outcome.payload
        clamps += outcome.clamps
        wraps += outcome.wraps
    return sent, clamps, wraps


def window(kind: str, state: Any, arrivals: dict[str, Any], params: dict[str, Any]) -> Any:
    """All steps of all tokens at once: a WindowOutcome."""
    run = KINDS[kind].window
    assert run is not None
    return run(state, arrivals, params)


def unrolled(train: Train, steps: int) -> Ints:
    """The train's payloads at each of its own steps, after silence: [steps, ...]."""
    own = len(train.positions) if isinstance(train, Digits) else 1
    own = len(train.payloads) if isinstance(train, Volley) else own
    silence = train.at(0, own) * 0
    return np.stack([silence] * (steps - own) + [train.at(k, own) for k in range(own)])


@pytest.mark.parametrize("kind", ALONE)
def test_a_step_keeps_declared_words_only(kind: str) -> None:
    declared = {*KINDS[kind].state, *KINDS[kind].simulation_only}

    @settings(THOROUGH, max_examples=30)
    @given(ALONE[kind]())
    def holds(run: Run) -> None:
        state: dict[str, Any] = {}
        for k, arriving in enumerate(run.inputs):
            inputs = {port: x[0, 0] for port, x in arriving.items()}
            state = KINDS[kind].step(state, inputs, run.params, k).state
            assert set(state) <= declared

    holds()


@pytest.mark.parametrize("kind", ALONE)
def test_window_is_the_fold_of_step(kind: str) -> None:
    @THOROUGH
    @given(ALONE[kind]())
    def holds(run: Run) -> None:
        sent, clamps, wraps = by_steps(run)
        swept = window(kind, {}, run.arrivals, run.params)
        np.testing.assert_array_equal(unrolled(swept.train, len(sent)), sent)
        assert (swept.clamps, swept.wraps, swept.state) == (clamps, wraps, {})
        np.testing.assert_array_equal(swept.train.spikes(), (sent != 0).sum(axis=0))
        assert np.abs(sent).max() <= WORD_LIMIT

    holds()


def tensor(x: Any, word: torch.dtype = torch.int64) -> Any:
    """Arrays as torch tensors, of a narrower type where all values fit, as the fast engine does."""
    if isinstance(x, list):
        return [tensor(part, word) for part in x]
    if not isinstance(x, np.ndarray):
        return x
    fits = np.abs(x).max() <= torch.iinfo(word).max
    return torch.from_numpy(x).to(word if fits else torch.int64)


@pytest.mark.parametrize("word", [torch.int32, torch.int64], ids=str)
@pytest.mark.parametrize("kind", ALONE)
def test_torch_gives_the_same(kind: str, word: torch.dtype) -> None:
    @settings(THOROUGH, max_examples=60)
    @given(ALONE[kind]())
    def holds(run: Run) -> None:
        one = window(kind, {}, run.arrivals, run.params)
        two = window(
            kind,
            {},
            {port: tensor(x, word) for port, x in run.arrivals.items()},
            {key: tensor(x) for key, x in run.params.items()},
        )
        own = len(one.train.positions) if isinstance(one.train, Digits) else 1
        for k in range(own):
            sent = two.train.at(k, own)
            assert sent.dtype in (word, torch.int64)
            np.testing.assert_array_equal(one.train.at(k, own), sent.numpy())
        assert (one.clamps, one.wraps) == (two.clamps, two.wraps)

    holds()


@THOROUGH
@given(integrate_runs())
def test_a_safe_sum_is_the_same_sum(run: Run) -> None:
    """`safe` leaves out the wrapping, which a sum that does not wrap cannot notice."""
    run.arrivals["a"] = [np.clip(x, -(2**21), 2**21) for x in run.arrivals["a"]]
    counted, trusted = (
        window("integrate", {}, run.arrivals, {**run.params, "safe": safe}) for safe in (0, 1)
    )
    assert counted.wraps == trusted.wraps == 0
    assert counted.clamps == trusted.clamps
    np.testing.assert_array_equal(trusted.train.value, counted.train.value)


@THOROUGH
@given(encode_runs(), st.data())
def test_planes_of_a_code_are_its_steps(run: Run, data: st.DataObject) -> None:
    """A receiver may sum any run of steps, each weighed by the position of its digit, at once."""
    train = window("encode", {}, run.arrivals, run.params).train
    steps, width = run.params["steps"], run.params["digit_bits"]
    lo = data.draw(st.integers(0, steps - 1))
    hi = data.draw(st.integers(lo + 1, steps))
    shift = tuple(max(0, k - lo) * width for k in range(steps))
    summed = sum(train.at(k, steps) << shift[k] for k in range(lo, hi))
    np.testing.assert_array_equal(train.plane(lo, hi, shift), summed)
    assert np.abs(summed).max() <= train.largest(lo, hi, shift, 0)
    if hi - lo > 1:
        with pytest.raises(ValueError, match="weigh the digits"):
            train.plane(lo, hi, (0,) * steps)


@THOROUGH
@given(st.integers(1, 9), st.integers(1, 2), st.data())
def test_pointer_window_is_the_fold_of_step(slots: int, batch: int, data: st.DataObject) -> None:
    state: dict[str, Any] = {}
    marks, swept_state = [], {}
    turns = 2 * slots + 1  # it comes round
    for _ in range(turns):
        outcome = KINDS["pointer"].step(state, {}, {"slots": slots}, 0)
        state = outcome.state
        marks.append(outcome.payload)
    at = 0
    while at < turns:
        tokens = data.draw(st.integers(1, turns - at))
        blank = np.zeros((batch, tokens), np.int64)
        swept = window("pointer", swept_state, {"tokens": blank}, {"slots": slots})
        swept_state, at = swept.state, at + tokens
        value = swept.train.value.reshape(batch, tokens, -1)
        for b in range(batch):
            np.testing.assert_array_equal(
                value[b], np.stack(marks)[at - tokens : at, : value.shape[2]]
            )
        assert not np.stack(marks)[at - tokens : at, value.shape[2] :].any()


@st.composite
def contests(draw: Draw) -> tuple[Ints, dict[str, int]]:
    """Values [batch, tokens, heads, rivals] and parameters; ties and silence happen often."""
    bits = draw(st.integers(1, 23))
    shape = (*shapes(draw)[:2], draw(st.integers(1, 3)), draw(st.integers(1, 5)))
    top = draw(st.sampled_from([1, 3, 2**12, WORD_LIMIT]))
    return words(draw, shape, 0, top), {"bits": bits, "drop": 23 - bits}


def contest_by_steps(x: Ints, p: dict[str, int]) -> tuple[Ints, Ints]:
    """Offers [bits, h, j] and verdicts [bits, h] of one token, one step of delay either way.

    compete is updated at steps 0, 2, 4, .., its referee at 1, 3, ...
    """
    heads, rivals = x.shape
    state: dict[str, Any] = {}
    offers, verdicts = [], []
    nothing, veto = np.zeros(x.size, np.int64), np.zeros(x.size, np.int64)
    for k in range(p["bits"] + 1):
        inputs = {"x": x.reshape(-1) if k == 0 else nothing, "veto": veto}
        outcome = KINDS["compete"].step(state, inputs, p, k)
        state = outcome.state
        if k == p["bits"]:
            assert not outcome.payload.any()
            assert not state
            break
        offers.append(outcome.payload.reshape(heads, rivals))
        heard = offers[-1].sum(axis=1)
        verdicts.append(KINDS["any"].step({}, {"a": heard}, {}, k).payload)
        veto = np.repeat(verdicts[-1], rivals)
    return np.stack(offers), np.stack(verdicts)


@THOROUGH
@given(contests())
def test_competition_in_closed_form_is_the_loop(contest: tuple[Ints, dict[str, int]]) -> None:
    x, p = contest
    close = KINDS["compete"].loop
    assert close is not None
    loop = close(x, p, lambda v: v.max(axis=3, keepdims=True))
    torch_loop = close(torch.from_numpy(x), p, lambda v: v.amax(dim=3, keepdim=True))
    offers, verdicts = np.zeros((p["bits"], *x.shape), np.int64), []
    for b, t in np.ndindex(*x.shape[:2]):
        offers[:, b, t], spelt = contest_by_steps(x[b, t], p)
        verdicts.append(spelt)
        top = sum(bit << (p["bits"] - 1 - k) for k, bit in enumerate(spelt))
        np.testing.assert_array_equal(top, x[b, t].max(axis=1) >> p["drop"])
    for k in range(p["bits"]):
        np.testing.assert_array_equal(loop.outer.at(k, p["bits"]), offers[k])
        np.testing.assert_array_equal(torch_loop.outer.at(k, p["bits"]).numpy(), offers[k])
        spoken = np.stack([spelt[k] for spelt in verdicts]).reshape(x.shape[:3])
        np.testing.assert_array_equal(loop.inner.at(k, p["bits"])[..., 0], spoken)
    np.testing.assert_array_equal(loop.outer.spikes(), offers.sum(axis=0))


ANY = st.integers(-(2**46), 2**46)
WORD = st.integers(1, 2**24 - 1) | st.sampled_from([2**k + d for k in range(24) for d in (0, -1)])


def both(values: list[int]) -> list[Any]:
    """The same integers as a numpy array and as a torch tensor."""
    x = np.array(values, np.int64)
    return [x, torch.from_numpy(x)]


@THOROUGH
@given(st.lists(ANY, min_size=1, max_size=5), st.integers(0, 63))
def test_shifting_rounds_to_nearest(values: list[int], by: int) -> None:
    """Python's integers are the judge: floor(x / 2**by + 1/2)."""
    right = [(2 * x + 2**by) // 2 ** (by + 1) for x in values]
    for x in both(values):
        assert shift_right(x, by).tolist() == right
        each = x * 0 + by
        assert shift_right(x, each).tolist() == right


@THOROUGH
@given(st.lists(ANY, min_size=1, max_size=5))
def test_wrapping_is_two_s_complement(values: list[int]) -> None:
    for x in both(values):
        word, turns = wrap(x)
        for before, after, times in zip(values, word.tolist(), turns.tolist(), strict=True):
            low_bits = (before % 2**24).to_bytes(3, "big")
            assert after == int.from_bytes(low_bits, "big", signed=True)
            assert after + (times << 24) == before


@THOROUGH
@given(st.lists(WORD, min_size=1, max_size=5))
def test_bits_are_counted_and_found(values: list[int]) -> None:
    values = [max(1, x) for x in values]
    for x in both(values):
        assert leading_bit(x).tolist() == [v.bit_length() - 1 for v in values]
        assert below_leading_bit(x).tolist() == [2 ** v.bit_length() - 1 for v in values]
        assert ones(x).tolist() == [bin(v).count("1") for v in values]
        assert below_leading_bit(x * 0).tolist() == ones(x * 0).tolist() == [0] * len(values)


@THOROUGH
@given(st.lists(ANY, min_size=1, max_size=5), st.integers(-9, 0), st.integers(1, 2**23))
def test_saturation_is_counted(values: list[int], low: int, high: int) -> None:
    for x in both(values):
        y, outside = saturate(x, low, high)
        assert y.tolist() == [min(max(v, low), high) for v in values]
        assert outside == sum(not low <= v <= high for v in values)

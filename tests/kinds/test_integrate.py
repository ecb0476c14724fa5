"""integrate: sums, cuts, wraps, limits and gates, by hand."""

from typing import Any

import pytest

from compiler.netlist.kinds.integrate import segments
from kinds.literal import Sent, Stepped, step, steps, window

PLAIN: dict[str, Any] = {
    "shift": (0,),
    "cut": (0,),
    "multiplier": [1],
    "divide": [0],
    "bias": [0],
    "low": -8388607,
    "high": 8388607,
    "gated": 0,
    "safe": 0,
}


def sent(a: list[int], enable: list[int] | None = None, **changes: Any) -> Sent:
    """What is sent for sums of one step; from step and from window."""
    params = {**PLAIN, **changes}
    gate = {} if enable is None else {"enable": enable}
    swept = window("integrate", params, a=[a], **gate)
    assert steps("integrate", params, {"a": a, **gate}) == swept, "step and window disagree"
    return swept


def added(arriving: list[list[int]], totals: list[list[int]], **changes: Any) -> Sent:
    """What is sent at the last of several steps; totals: of the runs of steps between cuts."""
    params = {**PLAIN, **changes}
    swept = window("integrate", params, a=totals)
    by_step = steps("integrate", params, *({"a": a} for a in arriving))
    assert by_step.payloads[:-1] == [[0] * len(a) for a in arriving[:-1]]
    assert by_step._replace(payloads=by_step.payloads[-1:]) == swept, "step and window disagree"
    return swept


def test_the_word_wraps_at_either_end() -> None:
    assert sent([8388607, 8388608, -8388607]) == Sent([[8388607, -8388607, -8388607]], 1, 1)
    assert sent([-8388608]) == Sent([[-8388607]], clamps=1, wraps=0)
    assert sent([-8388609]) == Sent([[8388607]], clamps=0, wraps=1)
    assert sent([16777216, -16777217]) == Sent([[0, -1]], clamps=0, wraps=2)


def test_a_word_that_wraps_twice_is_one_wrong_sum() -> None:
    assert sent([25165824, 25165823]) == Sent([[-8388607, 8388607]], clamps=1, wraps=2)


def test_each_step_counts_by_its_shift() -> None:
    arriving = [[1, 3, -1], [1, 0, 0], [1, 1, 1]]
    assert added(arriving, [[7, 7, 3]], shift=(0, 1, 2), cut=(0, 0, 0)) == Sent([[7, 7, 3]])


def test_cuts_round_down_and_the_last_to_nearest() -> None:
    """3: 3 / 2 down is 1, 1 + 3 is 4, 4 / 2 is 2, 2 + 3 is 5; -3: -2, -5, -2.5 up to -2, -5."""
    rows = [[3, -3], [3, -3], [3, -3]]
    assert added(rows, rows, shift=(0, 0, 0), cut=(0, 1, 1)) == Sent([[5, -5]])
    rows = [[5, -5, 6, 7], [0, 0, 0, 0]]
    assert added(rows, rows, shift=(0, 0), cut=(0, 2)) == Sent([[1, -1, 2, 2]])


def test_a_cut_comes_before_the_step_s_sum() -> None:
    """1 + 2 is 3, a quarter of it to nearest 1, 1 + 1 + 2 is 4."""
    rows = [[1], [1], [1], [1]]
    assert added(rows, [[3], [3]], shift=(0, 1, 0, 1), cut=(0, 0, 2, 0)) == Sent([[4]])


def test_a_wrap_that_comes_back_is_none() -> None:
    rows = [[8388607, -8388608], [1, -1], [-1, 1]]
    plain = {"shift": (0, 0, 0), "cut": (0, 0, 0)}
    assert added(rows, [[8388607, -8388608]], **plain) == Sent([[8388607, -8388607]], clamps=1)


def test_a_wrap_before_a_cut_is_counted_there() -> None:
    rows = [[8388608, 8388607], [0, 0]]
    assert added(rows, rows, shift=(0, 0), cut=(0, 1)) == Sent([[-4194304, 4194304]], wraps=1)
    rows = [[8388608, 0], [0, 0], [8388608, 8388608]]
    assert added(rows, rows, shift=(0, 0, 0), cut=(0, 1, 1)) == Sent(
        [[6291456, -8388607]], clamps=1, wraps=2
    )


def test_a_wrap_of_the_last_sum_is_counted() -> None:
    rows = [[1], [8388607]]
    assert added(rows, [[8388608]], shift=(0, 0), cut=(0, 0)) == Sent([[-8388607]], 1, 1)


def test_a_proven_sum_is_not_wrapped_in_the_window() -> None:
    swept = window("integrate", {**PLAIN, "safe": 1}, a=[[8388607, 8388608]])
    assert swept == Sent([[8388607, 8388607]], clamps=1)


def test_limits_are_kept_and_beyond_them_counted() -> None:
    assert sent([-6, -5, -4, 6, 7, 8], low=-5, high=7) == Sent([[-5, -5, -4, 6, 7, 7]], clamps=2)
    assert sent([0, 1, 2], low=1, high=9) == Sent([[1, 1, 2]], clamps=1)
    assert sent([-2, -1, 0], low=-1, high=9) == Sent([[-1, -1, 0]], clamps=1)


def test_a_rectifier_s_zeros_are_no_clamps() -> None:
    assert sent([-1, -8388607, 0, 100, 101], low=0, high=100) == Sent(
        [[0, 0, 0, 100, 100]], clamps=1
    )
    assert sent([-1, -1, 101], [1, 0, 1], low=0, high=100, gated=1) == Sent([[0, 0, 100]], clamps=1)


def test_the_sum_is_rescaled_halves_up_and_the_bias_added() -> None:
    assert sent([1, -1, 2], multiplier=[3], divide=[1], bias=[10]) == Sent([[12, 9, 13]])
    each = {"multiplier": [1, -1, 5], "divide": [0, 1, 2], "bias": [0, 1, -1]}
    assert sent([7, 7, 7], **each) == Sent([[7, -2, 8]])
    assert sent([8388607, -8388607], bias=[1]) == Sent([[8388607, -8388606]], clamps=1)


def test_a_gated_compartment_sends_only_if_enabled() -> None:
    """The silent ones count no clamps either."""
    limits = {"low": -5, "high": 5, "gated": 1}
    assert sent([9, -9, 3, 9, -9, 3], [1, 1, 2, 0, 0, 0], **limits) == Sent(
        [[5, -5, 3, 0, 0, 0]], clamps=2
    )
    assert sent([0, 0, 1], [1, 0, 1], low=1, high=9, gated=1) == Sent([[1, 0, 1]], clamps=1)


def test_without_a_gate_an_enable_spike_changes_nothing() -> None:
    assert sent([9, 3], [0, 1], low=-5, high=5) == Sent([[5, 3]], clamps=1)


def test_an_enable_spike_may_come_at_any_step() -> None:
    params = {**PLAIN, "shift": (0, 0), "cut": (0, 0), "gated": 1}
    early = [{"a": [1, 2], "enable": [1, 0]}, {"a": [3, 4], "enable": [0, 0]}]
    assert steps("integrate", params, *early) == Sent([[0, 0], [4, 0]])
    late = [{"a": [1, 2], "enable": [0, 0]}, {"a": [3, 4], "enable": [1, 0]}]
    assert steps("integrate", params, *late) == Sent([[0, 0], [4, 0]])


def test_the_state_of_a_step() -> None:
    params = {**PLAIN, "shift": (0, 2, 0), "cut": (0, 1, 0)}
    first = step("integrate", params, 0, a=[3, 8388608], enable=[1, 0])
    assert first == Stepped(
        {"u": [3, -8388608], "turns": [0, 1], "enabled": [1, 0]}, [0, 0], wraps=0
    )
    second = step("integrate", params, 1, first.state, a=[1, 8388607], enable=[0, 2])
    assert second == Stepped(
        {"u": [6, -4194308], "turns": [0, 2], "enabled": [1, 2]}, [0, 0], wraps=1
    )
    third = step("integrate", params, 2, second.state, a=[0, 0])
    assert third == Stepped({}, [6, -4194308], wraps=1)


@pytest.mark.parametrize(
    ("cut", "runs"),
    [
        ((0,), [(0, 1)]),
        ((0, 0, 0), [(0, 3)]),
        ((0, 1, 1), [(0, 1), (1, 2), (2, 3)]),
        ((0, 0, 2, 0), [(0, 2), (2, 4)]),
    ],
)
def test_between_cuts_steps_run_together(cut: tuple[int, ...], runs: list[tuple[int, int]]) -> None:
    assert segments({"cut": cut, "shift": (0,) * len(cut)}) == runs

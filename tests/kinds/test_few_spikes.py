"""few_spikes: sub-domains, thresholds and saturation, by hand."""

from typing import Any

import pytest

from kinds.literal import Sent, Stepped, step, steps, window


def sent(x: list[int], **params: Any) -> Sent:
    """What is sent for values that come at the first step; from step and from window.

    The steps before the last are silent, which the train of one graded spike leaves out.
    """
    swept = window("few_spikes", params, x=x)
    silence = [{"x": [0] * len(x)}] * (params["count"] - 1)
    by_step = steps("few_spikes", params, {"x": x}, *silence)
    assert by_step.payloads[:-1] == [[0] * len(x)] * (params["count"] - 1)
    assert by_step._replace(payloads=by_step.payloads[-1:]) == swept, "step and window disagree"
    return swept


def test_a_sub_domain_begins_at_its_edge() -> None:
    params = {"count": 1, "edges": [0, 10, 20], "theta": [-99] * 3, "reset": [0] * 3}
    assert sent([-50, 9, 10, 11, 19, 20, 21], d=[1, 2, 3], **params) == Sent(
        [[1, 1, 2, 2, 2, 3, 3]]
    )


def test_the_potential_must_be_above_the_threshold() -> None:
    params = {"count": 1, "edges": [0], "theta": [5], "reset": [2], "d": [7]}
    assert sent([4, 5, 6], **params) == Sent([[0, 0, 7]])


def test_the_tables_are_the_step_s_own() -> None:
    """15 fires three times; 8 is not above 8, and fires at 4 and at 2."""
    params = {"count": 3, "edges": [0], "theta": [8, 4, 2], "reset": [8, 4, 2], "d": [80, 40, 20]}
    assert sent([15, 8, 7, 2, 1], **params) == Sent([[140, 60, 60, 0, 0]])


def test_the_tables_are_the_sub_domain_s_own() -> None:
    params = {"count": 2, "edges": [0, 100], "theta": [10, 20, 30, 40], "reset": [0] * 4}
    assert sent([5, 15, 25, 99, 100, 101], d=[1, 2, 4, 8], **params) == Sent([[0, 1, 3, 3, 12, 12]])


@pytest.mark.parametrize(
    ("d", "y", "clamps"),
    [
        ([8388606, 1], 8388607, 0),
        ([8388607, 1], 8388607, 1),
        ([-8388606, -1], -8388607, 0),
        ([-8388607, -1], -8388607, 1),
    ],
)
def test_the_result_is_held_to_a_word(d: list[int], y: int, clamps: int) -> None:
    params = {"count": 2, "edges": [0], "theta": [0, 0], "reset": [0, 0]}
    assert sent([1], d=d, **params) == Sent([[y]], clamps)


@pytest.mark.parametrize(
    ("x", "reset", "v", "clamps"),
    [
        (0, -8388607, 8388607, 0),
        (1, -8388607, 8388607, 1),
        (0, 8388607, -8388607, 0),
        (-1, 8388607, -8388607, 1),
    ],
)
def test_the_potential_is_held_to_a_word(x: int, reset: int, v: int, clamps: int) -> None:
    params = {"count": 2, "edges": [0], "theta": [-9, 9], "reset": [reset, 0], "d": [1, 2]}
    assert step("few_spikes", params, x=[x]) == Stepped(
        {"v": [v], "y": [1], "domain": [0]}, [0], clamps
    )
    assert sent([x], **params) == Sent([[3 if v > 0 else 1]], clamps)


def test_clamps_of_potential_and_result_add_up() -> None:
    params = {"count": 2, "edges": [0], "theta": [0, 0], "reset": [-8388607] * 2}
    assert sent([2, 1, 0], d=[8388607] * 2, **params) == Sent([[8388607, 8388607, 0]], clamps=6)


def test_the_last_step_sends_and_forgets() -> None:
    params = {"count": 2, "edges": [0, 3], "theta": [0] * 4, "reset": [1] * 4, "d": [1, 2, 3, 4]}
    held = {"v": [5, 1], "y": [3, 1], "domain": [1, 0]}
    assert step("few_spikes", params, x=[6, 2]) == Stepped(held, [0, 0])
    assert step("few_spikes", params, 1, held, x=[0, 0]) == Stepped({}, [7, 3])

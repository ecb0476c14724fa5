"""fire: thresholds, range, levels, drive and lift, by hand."""

from typing import Any

import pytest

from kinds.literal import Sent, Stepped, step, steps, window

PLAIN: dict[str, Any] = {
    "multiplier": [1],
    "shift": [0],
    "offset": [0],
    "low": [0],
    "high": [15],
    "theta": [8, 4, 2, 1],
    "reset": [8, 4, 2, 1],
    "send": [8, 4, 2, 1],
    "level": 1,
    "most": 1,
    "lift": [0],
    "steps": 4,
    "early": 0,
    "drive": 0,
    "signed": 0,
    "strict": 0,
}
ONE = {"theta": [4], "reset": [4], "send": [1], "steps": 1}


def sent(x: list[int], **changes: Any) -> Sent:
    """The spikes of values that come at the first step; from step and from window."""
    params = {**PLAIN, **changes}
    swept = window("fire", params, x=x)
    silence = [{"x": [0] * len(x)}] * (params["steps"] - 1)
    assert steps("fire", params, {"x": x}, *silence) == swept, "step and window disagree"
    return swept


def test_phase_coding_sends_the_digits() -> None:
    assert sent([0, 1, 7, 8, 15]) == Sent(
        [[0, 0, 0, 8, 8], [0, 0, 4, 0, 4], [0, 0, 2, 0, 2], [0, 1, 1, 0, 1]]
    )


@pytest.mark.parametrize(("strict", "spikes"), [(0, [0, 1, 1]), (1, [0, 0, 1])])
def test_at_the_threshold(strict: int, spikes: list[int]) -> None:
    assert sent([3, 4, 5], **ONE, strict=strict) == Sent([spikes])


def test_a_negative_threshold_fires_at_it_and_below() -> None:
    """The sign bit of two's complement."""
    params = {"theta": [-4], "reset": [-4], "send": [-4], "steps": 1, "low": [-8], "high": [7]}
    assert sent([-3, -4, -5, 0, 7], **params) == Sent([[0, -4, -4, 0, 0]])
    assert step("fire", {**PLAIN, **params}, x=[-3, -4, -5]).state["v"] == [-3, 0, -1]


def test_what_is_beyond_the_range_is_cut_and_counted() -> None:
    params = {**PLAIN, **ONE, "low": [-10], "high": [10], "theta": [100]}
    assert step("fire", params, x=[10, 11, 8388607, -10, -11]) == Stepped(
        {"v": [10, 10, 10, -10, -10], "value": [10, 10, 10, -10, -10], "sign": [1] * 5},
        [0] * 5,
        clamps=3,
    )
    assert sent([10, 11, 8388607, -10, -11], **ONE, low=[-10], high=[10]).clamps == 3


def test_a_rectifier_s_loss_is_no_clamp() -> None:
    assert sent([-1, -8388607, 0, 15, 16], **ONE) == Sent([[0, 0, 0, 1, 1]], clamps=1)
    assert sent([-1, -2, -3], **ONE, low=[0, -1, -3], high=[9]).clamps == 1


def test_a_neuron_with_signs_fires_for_the_magnitude() -> None:
    params = {**ONE, "signed": 1, "low": [-10], "high": [10]}
    assert sent([-7, 7, -12, 0, -3, -4], **params) == Sent([[-1, 1, -1, 0, 0, -1]], clamps=1)
    assert step("fire", {**PLAIN, **params}, x=[-7, 7, -12, 0]) == Stepped(
        {"v": [3, 3, 6, 0], "value": [7, 7, 10, 0], "sign": [-1, 1, -1, 0]}, [-1, 1, -1, 0], 1
    )


def test_the_value_is_rescaled_and_halves_go_up() -> None:
    params = {**PLAIN, **ONE, "multiplier": [3], "shift": [1], "low": [-9]}
    assert step("fire", params, x=[1, -1, 2]).state["value"] == [2, -1, 3]


def test_the_offset_is_added_after_the_range() -> None:
    params = {**PLAIN, **ONE, "offset": [3], "theta": [18], "reset": [18]}
    assert step("fire", params, x=[14, 15, 20]) == Stepped(
        {"v": [17, 0, 0], "value": [14, 15, 15], "sign": [1, 1, 1]}, [0, 1, 1], clamps=1
    )


@pytest.mark.parametrize(
    ("most", "spikes", "left"),
    [
        (4, [0, 1, 3, 4, 4, 4], [1, 0, 1, 0, 1, 92]),
        (3, [0, 1, 3, 3, 3, 3], [1, 0, 1, 2, 3, 94]),
    ],
)
def test_a_graded_spike_has_up_to_level_quanta(
    most: int, spikes: list[int], left: list[int]
) -> None:
    params = {"theta": [2], "reset": [2], "send": [1], "steps": 1, "high": [100]}
    params |= {"level": 4, "most": most}
    x = [1, 2, 7, 8, 9, 100]
    assert sent(x, **params) == Sent([spikes])
    assert step("fire", {**PLAIN, **params}, x=x).state["v"] == left


def test_below_nothing_no_quanta_are_taken_back() -> None:
    assert sent([-3, -100], **ONE, low=[-100], level=4, most=4) == Sent([[0, 0]])


@pytest.mark.parametrize(("drive", "spikes"), [(1, [[4], [4], [0]]), (0, [[4], [0], [0]])])
def test_the_value_is_added_at_every_step_with_drive(drive: int, spikes: list[list[int]]) -> None:
    """2 + 3 fires and leaves 1; 1 + 3 fires again at the threshold; 0 + 3 does not."""
    params = {"theta": [4] * 3, "reset": [4] * 3, "send": [4] * 3, "steps": 3, "offset": [2]}
    assert sent([3], **params, drive=drive) == Sent(spikes)


def test_reset_and_spike_value_are_the_step_s_own() -> None:
    """15 fires at 8, loses 5; 10 fires at 10, loses 1; 9 is below 10."""
    params = {"theta": [8, 10, 10], "reset": [5, 1, 0], "send": [7, -3, 2], "steps": 3}
    assert sent([15], **params) == Sent([[7], [-3], [0]])


def test_lift_multiplies_a_channel_s_spikes() -> None:
    params = {**ONE, "send": [3], "lift": [0, 2, 5]}
    assert sent([4, 4, 4], **params) == Sent([[3, 12, 96]])
    assert step("fire", {**PLAIN, **params}, x=[4, 4, 4]).state["v"] == [0, 0, 0]


def test_an_early_value_waits_and_adds_up() -> None:
    params = {**PLAIN, "early": 1}
    assert step("fire", params, 0, x=[3, 20]) == Stepped({"x": [3, 20]}, [0, 0])
    after = step("fire", params, 1, {"x": [3, 20]}, x=[6, 0])
    assert after == Stepped({"v": [1, 7], "value": [9, 15], "sign": [1, 1]}, [8, 8], clamps=1)
    came = [{"x": [3]}, {"x": [6]}, {"x": [0]}, {"x": [0]}, {"x": [0]}]
    assert steps("fire", params, *came) == Sent([[0], [8], [0], [0], [1]])
    late = [{"x": [1]}, {"x": [2]}, {"x": [4]}, {"x": [0]}, {"x": [0]}, {"x": [0]}]
    assert steps("fire", {**PLAIN, "early": 2}, *late) == Sent([[0], [0], [0], [4], [2], [1]])

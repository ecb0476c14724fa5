"""encode: digits, outliers, skipped digits and clamps, by hand."""

from typing import Any

import numpy as np
import pytest

from compiler.netlist.kinds import KINDS
from compiler.netlist.trains import Digits
from kinds.literal import Sent, Stepped, step, steps, window

PLAIN: dict[str, Any] = {
    "multiplier": [1],
    "shift": [0],
    "digits": 4,
    "digit_bits": 1,
    "signed_digit": 0,
    "skipped": [0],
    "steps": 4,
    "early": 0,
    "outlier_shift": 0,
    "outliers": [0],
}


def sent(x: list[int], **changes: Any) -> Sent:
    """The spikes of values that come at the first step; from step and from window."""
    params = {**PLAIN, **changes}
    swept = window("encode", params, x=x)
    silence = [{"x": [0] * len(x)}] * (params["steps"] - 1)
    assert steps("encode", params, {"x": x}, *silence) == swept, "step and window disagree"
    return swept


def test_the_lowest_digit_comes_first_and_carries_the_sign() -> None:
    assert sent([5, -5, 0, 15, -15, 8]) == Sent(
        [[1, -1, 0, 1, -1, 0], [0, 0, 0, 1, -1, 0], [1, -1, 0, 1, -1, 0], [0, 0, 0, 1, -1, 1]]
    )


def test_beyond_all_digits_set_is_a_clamp() -> None:
    all_set = [1, -1, 1, -1, 1]
    assert sent([15, -15, 16, -16, 8388607]) == Sent([all_set] * 4, clamps=3)


def test_the_value_is_rescaled_and_halves_go_up() -> None:
    assert sent([1, -1, 3, -3, 2, -2], shift=[1]) == Sent(
        [[1, 0, 0, -1, 1, -1], [0, 0, 1, 0, 0, 0], [0] * 6, [0] * 6]
    )
    # 3 * 3 / 4 = 2.25 and 3 * -5 / 4 = -3.75
    assert sent([3, 3], multiplier=[3, -5], shift=[2]).payloads == [
        [0, 0],
        [1, 0],
        [0, -1],
        [0, 0],
    ]


OUTLIERS = {"digits": 3, "steps": 3, "outlier_shift": 2, "outliers": [1]}


def test_an_outlier_is_more_than_the_digits_hold() -> None:
    """7 is no outlier; 8 is, and is sent whole in units of 4: 2, rounded to nearest."""
    assert sent([7, -7, 8, -8, 9, 10], **OUTLIERS) == Sent(
        [[1, -1, 0, 0, 0, 4], [1, -1, 4, -4, 4, 4], [1, -1, 0, 0, 0, 0]]
    )


def test_an_outlier_s_largest_code_and_its_clamp() -> None:
    """29 rounds to 7 units of 4; 30 to 8 of them, which is one too many."""
    assert sent([28, 29, 30, -29, -30], **OUTLIERS) == Sent([[4, 4, 4, -4, -4]] * 3, clamps=2)


def test_only_outlier_channels_code_outliers() -> None:
    assert sent([8, 8, 7, 7], **{**OUTLIERS, "outliers": [0, 1, 0, 1]}) == Sent(
        [[1, 0, 1, 1], [1, 4, 1, 1], [1, 0, 1, 1]], clamps=1
    )


def test_skipped_digits_are_rounded_off() -> None:
    """Two digits skipped: units of 4, of which there are at most 3."""
    assert sent([1, 2, 5, 6, 13, 14, -14, -2], skipped=[2]) == Sent(
        [[0] * 8, [0] * 8, [0, 1, 1, 0, 1, 1, -1, -1], [0, 0, 0, 1, 1, 1, -1, 0]], clamps=2
    )


def test_each_channel_skips_digits_of_its_own() -> None:
    assert sent([5, 5, 15, 13, 16, 14], skipped=[0, 2, 0, 2, 0, 2]) == Sent(
        [[1, 0, 1, 0, 1, 0], [0, 0, 1, 0, 1, 0], [1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1]],
        clamps=2,
    )


def test_an_outlier_that_skips_digits() -> None:
    """One digit skipped: 14 is 7 units of 2; 15 is an outlier, 2 units of 8; 60 rounds to 8."""
    assert sent([13, 14, 15, 59, 60], skipped=[1], outlier_shift=2, outliers=[1]) == Sent(
        [[0] * 5, [1, 1, 0, 4, 4], [1, 1, 4, 4, 4], [1, 1, 0, 4, 4]], clamps=1
    )


def test_a_skipping_channel_without_outliers_is_clamped() -> None:
    assert sent([15, 15], skipped=[1], outlier_shift=2, outliers=[0, 1]) == Sent(
        [[0, 0], [1, 0], [1, 4], [1, 0]], clamps=1
    )


def test_signed_digits_are_the_non_adjacent_form() -> None:
    """3 = 4 - 1, 6 = 8 - 2, 7 = 8 - 1; four digits give at most 1010."""
    assert sent([3, 6, 7, 5, 10, 11, -3, -10, -11], signed_digit=1) == Sent(
        [
            [-1, 0, -1, 1, 0, 0, 1, 0, 0],
            [0, -1, 0, 0, 1, 1, 0, -1, -1],
            [1, 0, 0, 1, 0, 0, -1, 0, 0],
            [0, 1, 1, 0, 1, 1, 0, -1, -1],
        ],
        clamps=2,
    )


def test_five_signed_digits_give_at_most_10101() -> None:
    assert sent([21, 22, -21, -22], digits=5, steps=5, signed_digit=1) == Sent(
        [[1, 1, -1, -1], [0] * 4, [1, 1, -1, -1], [0] * 4, [1, 1, -1, -1]], clamps=2
    )


def test_graded_digits_and_the_rest_of_the_last_step() -> None:
    """Two binary digits a step; of five, one is left for the third."""
    assert sent([27, -6, 31, 32, -33], digits=5, digit_bits=2, steps=3) == Sent(
        [[3, -2, 3, 3, -3], [2, -1, 3, 3, -3], [1, 0, 1, 1, -1]], clamps=2
    )


def test_a_graded_outlier_multiplies_its_digits() -> None:
    graded = sent([16, -16, 15], digit_bits=2, steps=2, outlier_shift=3, outliers=[1])
    assert graded == Sent([[16, -16, 3], [0, 0, 3]])


def test_the_train_says_how_its_digits_lie() -> None:
    run = KINDS["encode"].window
    assert run is not None
    params = {**PLAIN, "digits": 5, "digit_bits": 2, "steps": 3, "outlier_shift": 3}
    arrays = {key: np.array(x) if isinstance(x, list) else x for key, x in params.items()}
    train = run({}, {"x": np.array([[[5]]])}, arrays).train
    assert isinstance(train, Digits)
    assert (train.positions, train.largest_payload, train.digit_bits) == ((0, 2, 4), 8, 2)
    assert train.minus is None


def test_a_step_halves_what_is_left() -> None:
    assert step("encode", PLAIN, 0, x=[6, -3]) == Stepped(
        {"rest": [3, 1], "payload": [1, -1]}, [0, -1]
    )
    held = {"rest": [3, 1], "payload": [1, -1]}
    assert step("encode", PLAIN, 1, held, x=[0, 0]) == Stepped(
        {"rest": [1, 0], "payload": [1, -1]}, [1, -1]
    )


@pytest.mark.parametrize(("held", "digit", "rest"), [(8, 0, 4), (9, 1, 4), (10, 0, 5), (11, -1, 6)])
def test_a_signed_digit_carries(held: int, digit: int, rest: int) -> None:
    """..01 sends 1, ..11 sends -1 and leaves one more; ..10 and ..00 send nothing."""
    state = {"rest": [held], "payload": [1]}
    assert step("encode", {**PLAIN, "signed_digit": 1}, 1, state, x=[0]) == Stepped(
        {"rest": [rest], "payload": [1]}, [digit]
    )


def test_an_early_value_waits_and_adds_up() -> None:
    params = {**PLAIN, "early": 1}
    assert step("encode", params, 0, x=[3, 20]) == Stepped({"x": [3, 20]}, [0, 0])
    assert step("encode", params, 1, {"x": [3, 20]}, x=[2, 0]) == Stepped(
        {"rest": [2, 7], "payload": [1, 1]}, [1, 1], clamps=1
    )
    came = [{"x": [1]}, {"x": [4]}, {"x": [0]}, {"x": [0]}, {"x": [0]}]
    assert steps("encode", params, *came) == Sent([[0], [1], [0], [1], [0]])
    late = [{"x": [1]}, {"x": [2]}, {"x": [4]}, {"x": [0]}, {"x": [0]}, {"x": [0]}]
    assert steps("encode", {**PLAIN, "early": 2}, *late) == Sent([[0], [0], [1], [1], [1], [0]])

"""What memories answer in the fast engine, by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from compiler.netlist.trains import Digits, Graded, Recalled
from hwsim.backends.fast.recall import ProductAxes, by_slot, spikes, totals


def ints(*x: int, shape: tuple[int, ...]) -> Any:
    return torch.tensor(x, dtype=torch.int32).reshape(shape)


@pytest.mark.parametrize(
    ("x", "start", "tokens", "slots"),
    [
        ([5, 6, 7], 0, 3, [5, 6, 7]),  # as many entries as slots
        ([5, 6], 0, 2, [5, 6, 0]),  # the last slot is not used yet
        ([5], 0, 1, [5, 0, 0]),
        ([5, 6, 7, 8], 2, 2, [13, 6, 7]),  # the second token takes the first slot
        ([5, 6, 7, 8, 9], 4, 2, [5, 14, 16]),  # a full ring; tokens 4 and 5 take slots 1 and 2
        ([1, 2, 3, 4, 5], 0, 5, [5, 7, 3]),
    ],
)
def test_entries_in_their_slots(x: list[int], start: int, tokens: int, slots: list[int]) -> None:
    assert by_slot(torch.tensor(x), 0, 3, start, tokens).tolist() == slots


def test_entries_along_another_axis() -> None:
    x = ints(1, 2, 3, 4, shape=(2, 2))
    assert by_slot(x, 1, 3, 0, 2).tolist() == [[1, 2, 0], [3, 4, 0]]
    assert by_slot(x, 1, 1, 0, 2).tolist() == [[3], [7]]
    assert by_slot(x, 0, 3, 0, 2).tolist() == [[1, 2], [3, 4], [0, 0]]


VISIBLE = torch.tensor([[True, False, False], [True, True, False], [False, True, True]])


def test_who_sends_when_digits_know_no_slots() -> None:
    """Three tokens bring 1, 2 and 2 digits; entry 1 holds nothing.

    Entry 0 is seen by the first two, entry 2 by the last.
    """
    digits = Digits(ints(1, 3, 6, shape=(1, 3, 1)), None, (0, 1, 2))
    content = ints(5, 0, -7, shape=(1, 1, 3))
    train = Recalled(digits, content, VISIBLE.reshape(1, 3, 3), 9, 0)
    assert spikes(train).tolist() == [3, 0, 2]
    assert spikes(Recalled(digits, content, None, 9, 0)).tolist() == [5, 0, 5]


def test_who_sends_when_digits_know_their_slot() -> None:
    digits = Graded(ints(1, 2, 3, 0, 4, 5, 6, 7, 8, shape=(1, 3, 3)))
    content = ints(5, 4, 3, shape=(1, 1, 3))
    train = Recalled(digits, content, VISIBLE.reshape(1, 3, 3), 9, 0)
    assert spikes(train).tolist() == [1, 2, 1]
    assert spikes(Recalled(digits, content, None, 9, 0)).tolist() == [2, 3, 3]


def test_spikes_add_up_over_a_batch() -> None:
    digits = Graded(ints(1, 0, 1, 1, shape=(2, 2, 1)))
    content = ints(5, 6, 0, 7, shape=(2, 1, 2))
    visible = torch.tensor([[[True, False], [True, True]]])
    assert spikes(Recalled(digits, content, visible, 9, 0)).tolist() == [1, 1]
    assert spikes(Recalled(digits, content, None, 9, 0)).tolist() == [1, 3]


def test_spikes_between_other_axes() -> None:
    """Axes k 2, j 2, d 1; digits know k; each entry is seen by one token."""
    digits = Digits(ints(1, 3, 2, 3, shape=(1, 2, 2, 1, 1)), None, (0, 1))
    content = ints(5, 6, 7, 0, shape=(1, 1, 2, 2, 1))
    visible = torch.tensor([[True, False], [False, True]]).reshape(1, 2, 1, 2, 1)
    assert spikes(Recalled(digits, content, visible, 9, 1)).tolist() == [
        [[1], [1]],
        [[2], [0]],
    ]


AXES = ["g", "j", "d"]


def scores(visible: Any = None, **changes: Any) -> tuple[Recalled, ProductAxes]:
    """Queries of two heads g with d 2 read keys of two slots j that both heads share.

    Token 0 asks 1 2 and 3 0; token 1 asks 0 -1 and 2 2.  Keys: 10 1, and -4 5.
    """
    magnitude = ints(1, 2, 3, 0, 0, 1, 2, 2, shape=(1, 2, 2, 1, 2))
    sign = ints(1, 1, 1, 1, 1, -1, 1, 1, shape=(1, 2, 2, 1, 2))
    digits = Digits(magnitude, sign, (0, 1), **changes)
    content = ints(10, 1, -4, 5, shape=(1, 1, 1, 2, 2))
    train = Recalled(digits, content, visible, 10, 1)
    return train, ProductAxes.of(train, AXES, "d", "j")


def test_a_layout() -> None:
    train, layout = scores()
    assert layout.others == ["g"]
    assert layout.products == 1
    assert layout.order() == [0, 2, 1, 4, 3]
    assert layout.matrix(train.content).tolist() == [[[[10, -4], [1, 5]]]]
    axes = ["g", "k", "j", "d"]
    content = torch.zeros((1, 1, 1, 5, 2, 3), dtype=torch.int32)
    other = ProductAxes.of(Recalled(Graded(content), content, None, 9, 2), axes, "j", "d")
    assert (other.others, other.products) == (["k", "g"], 5)
    assert other.order() == [0, 3, 2, 1, 4, 5]


SCORES = [[[12, 6], [30, -12]], [[-1, -5], [22, 2]]]


@pytest.mark.parametrize("alone", [True, False])
def test_sums_over_one_axis(alone: bool) -> None:
    """Whole digits in one segment; [tokens, g, j]."""
    train, layout = scores()
    (found,) = totals(train, layout, [(0, 2)], (0, 1), alone=alone)
    assert found.dtype == torch.int32
    assert found.tolist() == [SCORES]


def test_sums_of_each_segment() -> None:
    """Digit 0 of token 0 asks 1 0 and 1 0, digit 1 counts 0 1 and 1 0."""
    train, layout = scores()
    first, second = totals(train, layout, [(0, 1), (1, 2)], (0, 0), alone=False)
    assert first.tolist() == [[[[10, -4], [10, -4]], [[-1, -5], [0, 0]]]]
    assert second.tolist() == [[[[1, 5], [10, -4]], [[0, 0], [11, 1]]]]


def test_all_segments_at_once_round_the_whole_sum() -> None:
    """Alone and with a cut by 1 before the second: half of each sum, halves up."""
    train, layout = scores(largest_payload=1)
    first, second = totals(train, layout, [(0, 1), (1, 2)], (0, 0), alone=True)
    assert first.ndim == 0
    assert int(first) == 0
    assert second.dtype == torch.int32
    assert second.tolist() == [[[[6, 3], [15, -6]], [[0, -2], [11, 1]]]]


def test_what_a_token_does_not_see_is_silent() -> None:
    visible = torch.tensor([[True, False], [True, True]]).reshape(1, 2, 1, 2, 1)
    train, layout = scores(visible)
    (found,) = totals(train, layout, [(0, 2)], (0, 1), alone=True)
    assert found.tolist() == [[[[12, 0], [30, 0]], SCORES[1]]]


def test_signed_digits_that_read() -> None:
    """3 as 4 - 1, read at once and digit by digit."""
    digits = Digits(ints(4, shape=(1, 1, 1, 1)), None, (0, 1, 2), minus=ints(1, shape=(1, 1, 1, 1)))
    content = ints(10, -4, shape=(1, 1, 2, 1))
    train = Recalled(digits, content, None, 10, 0)
    layout = ProductAxes.of(train, ["j", "d"], "d", "j")
    (whole,) = totals(train, layout, [(0, 3)], (0, 1, 2), alone=True)
    assert whole.tolist() == [[[30, -12]]]
    parts = totals(train, layout, [(0, 1), (1, 3)], (0, 0, 1), alone=True)
    assert parts[1].tolist() == [[[15, -6]]]
    parts = totals(train, layout, [(0, 1), (1, 3)], (0, 0, 1), alone=False)
    assert [part.tolist() for part in parts] == [[[[-10, 4]]], [[[20, -8]]]]


def test_weights_that_reach_values() -> None:
    """Weights of two slots, 3 and 1, read values 5 and -2; the second slot is not seen first."""
    visible = torch.tensor([[True, False], [True, True]]).reshape(1, 2, 2, 1)
    content = ints(5, -2, shape=(1, 1, 2, 1))
    for digits in (
        Graded(ints(3, 1, 3, 1, shape=(1, 2, 2, 1))),
        Digits(ints(3, 1, 3, 1, shape=(1, 2, 2, 1)), ints(1, 1, 1, 1, shape=(1, 2, 2, 1)), (0, 1)),
        Digits(ints(3, 1, 3, 1, shape=(1, 2, 2, 1)), None, (0, 1)),
        Digits(
            ints(4, 1, 4, 1, shape=(1, 2, 2, 1)),
            None,
            (0, 1, 2),
            minus=ints(1, 0, 1, 0, shape=(1, 2, 2, 1)),
        ),
    ):
        train = Recalled(digits, content, visible, 5, 0)
        layout = ProductAxes.of(train, ["j", "d"], "j", "d")
        steps = (0, 1) if isinstance(digits, Graded) else (0, len(digits.positions))
        (found,) = totals(train, layout, [steps], tuple(range(steps[1])), alone=True)
        assert found.tolist() == [[[15], [13]]]


def test_a_sum_too_long_for_32_bits_is_exact() -> None:
    """2**23 - 1 times 2**23 - 1, and one more."""
    digits = Graded(ints(8388607, 1, shape=(1, 1, 2, 1)).long())
    content = ints(8388607, 1, shape=(1, 1, 2, 1))
    train = Recalled(digits, content, None, 8388607, 0)
    layout = ProductAxes.of(train, ["j", "d"], "j", "d")
    (found,) = totals(train, layout, [(0, 1)], (0,), alone=True)
    assert found.dtype == torch.int64
    assert found.tolist() == [[[70368727400450]]]

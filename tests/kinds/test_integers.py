"""The 24-bit word's arithmetic against numbers written by hand, in numpy and in torch."""

from typing import Any

import numpy as np
import pytest
import torch

from kinds.literal import LIBRARIES, Make, plain
from las_neuro.integers import (
    WORD_BITS,
    WORD_LIMIT,
    amount,
    below_leading_bit,
    leading_bit,
    lookup,
    namespace,
    ones,
    saturate,
    scale,
    shift_right,
    wide,
    wrap,
)

both = pytest.mark.parametrize("ints", LIBRARIES)


def test_a_word_has_24_bits_and_equal_ends() -> None:
    assert WORD_BITS == 24
    assert WORD_LIMIT == 8388607


def test_an_array_brings_its_library() -> None:
    assert namespace(np.array([1])) is np
    assert namespace(torch.tensor([1])) is torch


@both
def test_amount_counts_what_is_not_zero(ints: Make) -> None:
    assert amount(ints([0, 0])) == 0
    assert amount(ints([0, -1, 5, 2])) == 3
    assert amount(ints([0, -1, 5, 2]) > 1) == 2


@both
@pytest.mark.parametrize(
    ("by", "x", "shifted"),
    [
        (0, [5, -5, 0], [5, -5, 0]),
        (1, [1, -1, 3, -3, 2, -2], [1, 0, 2, -1, 1, -1]),  # halves go up
        (2, [1, 2, -2, -3, 5, 6, -6, -7], [0, 1, 0, -1, 1, 2, -1, -2]),
        (23, [4194303, 4194304, -4194304, -4194305], [0, 1, 0, -1]),
        (62, [1, -1, 2**46, -(2**46)], [0, 0, 0, 0]),
        (63, [1, -1, 2**46, -(2**46)], [0, 0, 0, 0]),
    ],
)
def test_a_shift_rounds_to_nearest_and_halves_up(
    ints: Make, by: int, x: list[int], shifted: list[int]
) -> None:
    assert shift_right(ints(x), by).tolist() == shifted
    assert shift_right(ints(x), ints([by] * len(x))).tolist() == shifted


@both
def test_each_compartment_has_its_own_shift(ints: Make) -> None:
    assert shift_right(ints([6, 6, 6, 6, -6]), ints([0, 1, 2, 3, 2])).tolist() == [6, 3, 2, 1, -1]


@both
def test_scaling_rounds_before_the_offset_is_added(ints: Make) -> None:
    scaled = scale(ints([5, 5, -5]), ints([3, 1, 3]), ints([1, 2, 1]), ints([100, -100, 0]))
    assert scaled.tolist() == [108, -99, -7]  # 7.5 up, 1.25, -7.5 up


@both
@pytest.mark.parametrize(
    ("x", "limited", "outside"),
    [
        ([-4, 0, 7], [-4, 0, 7], 0),
        ([-5, 0, 7], [-4, 0, 7], 1),
        ([-4, 0, 8], [-4, 0, 7], 1),
        ([-5, -6, 8, 3], [-4, -4, 7, 3], 3),
    ],
)
def test_saturation_keeps_both_ends(
    ints: Make, x: list[int], limited: list[int], outside: int
) -> None:
    y, clamps = saturate(ints(x), -4, 7)
    assert (plain(y), clamps) == (limited, outside)


@both
def test_what_is_within_its_limits_is_not_copied(ints: Make) -> None:
    x = ints([-4, 7])
    assert saturate(x, -4, 7)[0] is x


@both
def test_wrapping_at_either_end_of_the_word(ints: Make) -> None:
    word, turns = wrap(ints([8388607, 8388608, 8388609, -8388608, -8388609, 0]))
    assert word.tolist() == [8388607, -8388608, -8388607, -8388608, 8388607, 0]
    assert turns.tolist() == [0, 1, 1, 0, -1, 0]
    word, turns = wrap(ints([16777216, -16777216, 25165823, 25165824]))
    assert word.tolist() == [0, 0, 8388607, -8388608]
    assert turns.tolist() == [1, -1, 1, 2]


def test_wide_makes_64_bits() -> None:
    narrow: list[Any] = [np.array([8388607], np.int32), torch.tensor([8388607], dtype=torch.int32)]
    for x, dtype in zip(narrow, (np.int64, torch.int64), strict=True):
        assert wide(x).dtype == dtype
        assert (wide(x) * wide(x)).tolist() == [70368727400449]


@both
def test_a_table_is_read_by_an_index_of_any_shape(ints: Make) -> None:
    table = ints([10, 20, 30])
    assert lookup(table, ints([2, 0])).tolist() == [30, 10]
    assert lookup(table, ints([0, 1, 2, 1]).reshape(2, 1, 2)).tolist() == [[[10, 20]], [[30, 20]]]


@both
def test_leading_bit(ints: Make) -> None:
    x = [1, 2, 3, 4, 255, 256, 65535, 65536, 8388607, 8388608]
    assert leading_bit(ints(x)).tolist() == [0, 1, 1, 2, 7, 8, 15, 16, 22, 23]


@both
def test_mask_below_the_leading_bit(ints: Make) -> None:
    x = [0, 1, 2, 5, 8, 256, 65536, 8388608, 16777215]
    masks = [0, 1, 3, 7, 15, 511, 131071, 16777215, 16777215]
    assert below_leading_bit(ints(x)).tolist() == masks


@both
def test_set_bits(ints: Make) -> None:
    x = [0, 1, 2, 3, 7, 85, 170, 255, 256, 65535, 65536, 16777215, 2147483648, 4294967295]
    assert ones(ints(x)).tolist() == [0, 1, 1, 2, 3, 4, 4, 8, 1, 16, 1, 24, 1, 32]

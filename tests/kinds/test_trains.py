"""Trains in closed form: what each step sends, sums over steps, counts, by hand."""

from typing import Any

import pytest
import torch

from compiler.netlist.trains import Digits, Graded, Volley, narrow, view
from kinds.literal import LIBRARIES, Make, plain

both = pytest.mark.parametrize("ints", LIBRARIES)


def token(ints: Make, x: list[int]) -> Any:
    """[n] as one token's payloads, [1, 1, n]."""
    return ints(x).reshape(1, 1, -1)


@both
def test_a_graded_spike_is_sent_at_the_last_step(ints: Make) -> None:
    train = Graded(token(ints, [5, 0, -3]))
    assert train.tokens == 1
    assert [plain(train.at(k, 3)) for k in range(3)] == [[0, 0, 0], [0, 0, 0], [5, 0, -3]]
    assert plain(train.at(0, 1)) == [5, 0, -3]
    assert plain(train.plane(0, 1, (2,))) == [20, 0, -12]
    assert plain(train.plane(1, 2, (2, 0))) == [0, 0, 0]
    assert plain(train.spikes()) == [1, 0, 1]
    assert train.largest(0, 1, (2,), 99) == 99


@both
def test_tokens_are_the_second_axis(ints: Make) -> None:
    x = ints([1, 2, 3, 4, 5, 6]).reshape(2, 3, 1)
    assert Graded(x).tokens == 3
    assert Digits(x, None, (0,)).tokens == 3
    assert Volley((x, x)).tokens == 3


@both
def test_binary_digits(ints: Make) -> None:
    train = Digits(token(ints, [5, 0, 7]), token(ints, [-4, 1, 1]), (0, 1, 2), 4)
    assert [plain(train.at(k, 3)) for k in range(3)] == [[-4, 0, 1], [0, 0, 1], [-4, 0, 1]]
    assert plain(train.bits(1, 2)) == [-8, 0, 3]
    assert plain(train.spikes()) == [2, 0, 3]
    assert Digits(token(ints, [5]), None, (2, 1, 0)).at(0, 3).tolist() == [[[1]]]


@both
def test_a_plane_of_digits_is_their_weighed_sum(ints: Make) -> None:
    """5 and 6 with payloads -4 and 1: digits 101 and 110."""
    train = Digits(token(ints, [5, 6]), token(ints, [-4, 1]), (0, 1, 2), 4)
    assert plain(train.plane(0, 3, (0, 1, 2))) == [-20, 6]
    assert plain(train.plane(0, 3, (2, 3, 4))) == [-80, 24]
    assert plain(train.plane(1, 3, (9, 0, 1))) == [-8, 3]
    assert plain(train.plane(2, 3, (9, 9, 3))) == [-32, 8]
    assert train.low(1, 3, (9, 4, 5)) == (1, 4)
    assert train.low(0, 3, (2, 3, 4)) == (0, 2)


@both
def test_a_train_sent_highest_digit_first(ints: Make) -> None:
    train = Digits(token(ints, [6]), None, (2, 1, 0))
    assert [plain(train.at(k, 3)) for k in range(3)] == [[1], [1], [0]]
    assert plain(train.plane(0, 3, (2, 1, 0))) == [6]
    assert plain(train.plane(0, 2, (1, 0, 9))) == [3]


@both
def test_steps_that_do_not_weigh_by_position(ints: Make) -> None:
    train = Digits(token(ints, [6]), None, (0, 1, 2))
    with pytest.raises(ValueError, match=r"^steps 1\.\.3 do not weigh the digits by their"):
        train.plane(1, 3, (0, 0, 0))


@both
def test_signed_digits(ints: Make) -> None:
    """7 is 8 - 1, -3 is 1 - 4."""
    train = Digits(token(ints, [8, 1]), None, (0, 1, 2, 3), minus=token(ints, [1, 4]))
    assert [plain(train.at(k, 4)) for k in range(4)] == [[-1, 1], [0, 0], [0, -1], [1, 0]]
    assert plain(train.plane(0, 4, (0, 1, 2, 3))) == [7, -3]
    assert plain(train.spikes()) == [2, 2]
    turned = Digits(token(ints, [8]), token(ints, [-2]), (0, 1, 2, 3), 2, minus=token(ints, [1]))
    assert [plain(turned.at(k, 4)) for k in range(4)] == [[2], [0], [0], [-2]]


@both
def test_graded_digits(ints: Make) -> None:
    """11011 in groups of two: 3, 2, 1; 1100: 0, 3, 0."""
    train = Digits(token(ints, [27, 12]), token(ints, [1, -1]), (0, 2, 4), digit_bits=2)
    assert [plain(train.at(k, 3)) for k in range(3)] == [[3, 0], [2, -3], [1, 0]]
    assert plain(train.spikes()) == [3, 1]
    assert plain(train.plane(0, 2, (0, 2, 4))) == [11, -12]
    assert plain(train.plane(1, 3, (9, 0, 2))) == [6, -3]


def test_the_largest_plane_any_input_can_give() -> None:
    x = torch.ones(1, 1, 1, dtype=torch.int64)
    assert Digits(x, None, (0, 1, 2)).largest(0, 3, (0, 1, 2), 0) == 7
    assert Digits(x, None, (0, 1, 2), 16).largest(1, 3, (9, 1, 2), 0) == 96
    assert Digits(x, None, (0, 3), 2, 3).largest(0, 2, (0, 3), 0) == 126


@both
def test_a_volley_lists_its_spikes(ints: Make) -> None:
    train = Volley(tuple(token(ints, x) for x in ([3, 0], [-1, 0], [0, 2])))
    assert [plain(train.at(k, 3)) for k in range(3)] == [[3, 0], [-1, 0], [0, 2]]
    assert plain(train.plane(0, 3, (0, 1, 2))) == [1, 8]
    assert plain(train.plane(1, 2, (0, 1, 2))) == [-2, 0]
    assert plain(train.plane(1, 3, (5, 0, 3))) == [-1, 16]
    assert plain(train.spikes()) == [2, 1]
    assert plain(Volley(train.payloads[:2]).spikes()) == [2, 0]
    assert plain(Volley((token(ints, [3, 0]),)).spikes()) == [1, 0]


@both
def test_a_view_changes_the_feature_axes(ints: Make) -> None:
    x, y = (ints([one, 2, 3, 4]).reshape(1, 1, 4) for one in (1, 9))
    graded = view(Graded(x), (2, 1, 2))
    assert isinstance(graded, Graded)
    assert graded.value.tolist() == [[[[[1, 2]], [[3, 4]]]]]
    volley = view(Volley((x, y)), (2, 2))
    assert isinstance(volley, Volley)
    assert [sent.tolist() for sent in volley.payloads] == [
        [[[[1, 2], [3, 4]]]],
        [[[[9, 2], [3, 4]]]],
    ]
    digits = view(Digits(x, y, (0, 3), 16, 3, x + 4), (4, 1))
    assert isinstance(digits, Digits)
    assert [tuple(one.shape) for one in (digits.magnitude, digits.payload, digits.minus)] == [
        (1, 1, 4, 1)
    ] * 3
    assert [plain(one) for one in (digits.magnitude, digits.payload, digits.minus)] == [
        [1, 2, 3, 4],
        [9, 2, 3, 4],
        [5, 6, 7, 8],
    ]
    assert (digits.positions, digits.largest_payload, digits.digit_bits) == ((0, 3), 16, 3)
    bare = view(Digits(x, None, (0,)), (2, 2))
    assert isinstance(bare, Digits)
    assert (bare.payload, bare.minus) == (None, None)


def test_a_narrow_train_holds_words_of_32_bits() -> None:
    x, y = torch.tensor([[[1, 2]]]), torch.tensor([[[3, 4]]])
    graded = narrow(Graded(x), torch.int32)
    assert isinstance(graded, Graded)
    assert (graded.value.dtype, graded.value.tolist()) == (torch.int32, [[[1, 2]]])
    volley = narrow(Volley((x, y)), torch.int32)
    assert isinstance(volley, Volley)
    assert [sent.dtype for sent in volley.payloads] == [torch.int32] * 2
    assert [sent.tolist() for sent in volley.payloads] == [[[[1, 2]]], [[[3, 4]]]]
    digits = narrow(Digits(x, y, (0, 3), 16, 3, x + 4), torch.int32)
    assert isinstance(digits, Digits)
    arrays = (digits.magnitude, digits.payload, digits.minus)
    assert [one.tolist() for one in arrays if one is not None] == [
        [[[1, 2]]],
        [[[3, 4]]],
        [[[5, 6]]],
    ]
    assert [one.dtype for one in arrays if one is not None] == [torch.int32] * 3
    assert (digits.positions, digits.largest_payload, digits.digit_bits) == ((0, 3), 16, 3)
    bare = narrow(Digits(x, None, (0,)), torch.int32)
    assert isinstance(bare, Digits)
    assert (bare.payload, bare.minus) == (None, None)

"""Weights of few bits in bytes, by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from compiler.netlist.packed import pack, packed_shape, unpack, within


def int8(rows: list[list[int]]) -> NDArray[np.int8]:
    return np.array(rows, np.int8)


@pytest.mark.parametrize(
    ("bits", "columns"),
    [(1, [1, 1, 1, 2]), (2, [1, 1, 2, 3]), (3, [1, 1, 4, 5]), (4, [1, 1, 4, 5]), (5, [1, 2, 8, 9])],
)
def test_a_row_s_bytes(bits: int, columns: list[int]) -> None:
    """For rows of 1, 2, 8 and 9 weights."""
    assert [packed_shape((3, n), bits) for n in (1, 2, 8, 9)] == [(3, c) for c in columns]


@pytest.mark.parametrize(
    ("bits", "low", "high"), [(1, -1, 0), (2, -2, 1), (4, -8, 7), (7, -64, 63), (8, -128, 127)]
)
def test_so_many_bits_hold_so_much(bits: int, low: int, high: int) -> None:
    assert within(int8([[low, high]]), bits) is True
    if bits < 8:
        assert within(int8([[low - 1, 0]]), bits) is False
        assert within(int8([[0, high + 1]]), bits) is False


FOUR = ([[1, -1, 7, -8], [0, 2, -2, 3]], [[-15, -121], [32, 62]])  # 0xf1 0x87, 0x20 0x3e
TWO = ([[1, -1, -2, 0, 1]], [[45, 1]])  # 00 10 11 01, 01
ONE = ([[-1, 0, 0, 0, 0, 0, 0, -1, -1]], [[-127, 1]])  # 1000 0001, 1
THREE = ([[3, -4, -1]], [[35, 7]])  # 00 100 011, 111
FIVE = ([[15, -16]], [[15, -16]])


@pytest.mark.parametrize(
    ("bits", "case"), [(4, FOUR), (2, TWO), (1, ONE), (3, THREE), (5, FIVE), (8, FIVE)]
)
def test_the_first_weight_is_lowest(
    bits: int, case: tuple[list[list[int]], list[list[int]]]
) -> None:
    weights, held = case
    packed = pack(int8(weights), bits)
    assert packed.dtype == np.int8
    assert packed.tolist() == held
    back = unpack(int8(held), int8(weights).shape, bits)
    assert back.dtype == np.int8
    assert back.tolist() == weights


@pytest.mark.parametrize(
    ("held", "shape", "bits"),
    [
        ([[16]], (1, 1), 4),  # something where the row has ended
        ([[64]], (1, 2), 3),  # something in the two bits a byte has to spare
        ([[16]], (1, 1), 5),  # a byte beyond five bits
        ([[-17]], (1, 1), 5),
    ],
)
def test_bytes_that_nothing_would_be_packed_to(
    held: list[list[int]], shape: tuple[int, int], bits: int
) -> None:
    with pytest.raises(ValueError, match=f"^bytes that hold no weights of {bits} bits$"):
        unpack(int8(held), shape, bits)

"""Integer arithmetic of the 24-bit word, written once for numpy and torch arrays.

Every function takes and returns integer arrays (int64 in the simulators, so that a product of two
words is exact); those that limit or wrap values also return how many.  torch is not imported here:
a caller that passes torch arrays has imported it.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Array = Any  # Ints, or a torch tensor of integers with the same operators

WORD_BITS = 24
WORD_LIMIT = 2 ** (WORD_BITS - 1) - 1  # largest magnitude a word is allowed to hold


def namespace(x: Array) -> Any:
    """numpy for numpy arrays, torch for torch tensors."""
    return np if isinstance(x, np.ndarray) else sys.modules["torch"]


def amount(x: Array) -> int:
    """How many elements are true or non-zero."""
    return int(namespace(x).count_nonzero(x))


def shift_right(x: Array, by: Array | int) -> Array:
    """x / 2**by rounded to nearest, halves up: what an adder and a shifter give."""
    if isinstance(by, int):
        return (x + ((1 << by) >> 1)) >> by
    some = by * 0 + (by > 0)  # 1 << 63 would be negative
    return (x + (some << (by - some))) >> by


def scale(x: Array, multiplier: Array, shift: Array, offset: Array) -> Array:
    """x * multiplier / 2**shift + offset: requantisation by compartment, one microcode multiply."""
    return shift_right(x * multiplier, shift) + offset


def saturate(x: Array, low: int, high: int) -> tuple[Array, int]:
    """x limited to [low, high], and how many elements were outside."""
    if int(x.max()) <= high and int(x.min()) >= low:  # two scans instead of four, nearly always
        return x, 0
    y = namespace(x).clip(x, low, high)
    return y, amount(y != x)


def wide(x: Array) -> Array:
    """x as 64 bits, so that the product of two words is exact."""
    return x.astype(np.int64) if isinstance(x, np.ndarray) else x.long()


def lookup(table: Array, i: Array) -> Array:
    """table[i] for any shape of i."""
    if isinstance(i, np.ndarray):
        return table[i]
    return table.index_select(0, i.reshape(-1)).reshape(i.shape)


def wrap(x: Array) -> tuple[Array, Array]:
    """x as the 24-bit two's complement word holds it, and how many times it wrapped."""
    turns = (x + (1 << (WORD_BITS - 1))) >> WORD_BITS
    return x - (turns << WORD_BITS), turns


def leading_bit(x: Array) -> Array:
    """Position of the highest set bit of x >= 1, by halving: 5 compares on the chip."""
    xp = namespace(x)
    position, rest = x * 0, x
    for step in (16, 8, 4, 2, 1):
        high = rest >> step
        upper = high > 0
        position = position + upper * step
        rest = xp.where(upper, high, rest)
    return position


def below_leading_bit(x: Array) -> Array:
    """A mask of the highest set bit of 0 <= x < 2**24 and everything under it; 0 for 0."""
    for by in (1, 2, 4, 8, 16):
        x = x | (x >> by)
    return x


def ones(x: Array) -> Array:
    """Number of set bits of 0 <= x < 2**32 (Hacker's Delight, figure 5-2)."""
    x = x - ((x >> 1) & 0x55555555)
    x = (x & 0x33333333) + ((x >> 2) & 0x33333333)
    x = (x + (x >> 4)) & 0x0F0F0F0F
    x = x + (x >> 8)
    return (x + (x >> 16)) & 0x3F

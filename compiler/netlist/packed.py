"""packed: weights of few bits, several a byte, as the netlist file holds them.

A byte holds 8 // bits weights of one row in two's complement, the first in its lowest bits.  What a
byte has to spare is 0, and so is what the last byte of a row lacks.  From 5 bits on a byte holds
one weight and is that weight as int8.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.int8]


def packed_shape(shape: tuple[int, ...], bits: int) -> tuple[int, int]:
    """Shape of the bytes that hold weights of this shape."""
    return shape[0], -(-shape[1] // (8 // bits))


def within(weights: Bytes, bits: int) -> bool:
    """Whether so many bits hold every weight."""
    end = 1 << bits - 1
    return bits == 8 or bool(((weights >= -end) & (weights < end)).all())


def pack(weights: Bytes, bits: int) -> Bytes:
    """Weights [n_post, n_pre] that fit, as bytes."""
    each = 8 // bits
    if each == 1:
        return weights
    out = np.zeros(packed_shape(weights.shape, bits), np.uint8)
    for place in range(each):
        field = weights[:, place::each].view(np.uint8) & np.uint8((1 << bits) - 1)
        out[:, : field.shape[1]] |= field << np.uint8(bits * place)
    return out.view(np.int8)


def unpack(held: Bytes, shape: tuple[int, ...], bits: int) -> Bytes:
    """Weights of this shape; ValueError for bytes that `pack` would not have made."""
    each = 8 // bits
    if each == 1:
        whole, weights = within(held, bits), held
    else:
        weights = np.empty(shape, np.int8)
        down = np.int8(8 - bits)  # an int8 brings its sign down with it
        for place in range(each):
            field = weights[:, place::each]
            top = held.view(np.uint8)[:, : field.shape[1]] << np.uint8(8 - bits * (place + 1))
            field[:] = top.view(np.int8) >> down
        whole = np.array_equal(pack(weights, bits), held)
    if not whole:
        raise ValueError(f"bytes that hold no weights of {bits} bits")
    return weights

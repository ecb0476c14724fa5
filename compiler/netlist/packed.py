"""packed: weights of few bits, several per byte, as in the netlist file.

A byte contains 8 // bits weights of one row in two's complement, the first in its lowest bits.
Unused bits of a byte, and unused places in the last byte of a row, are 0.  With 5 bits or more a
byte contains one weight, as int8.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.int8]


def packed_shape(shape: tuple[int, ...], bits: int) -> tuple[int, int]:
    """Shape of the packed bytes for weights of this shape."""
    return shape[0], -(-shape[1] // (8 // bits))


def within(weights: Bytes, bits: int) -> bool:
    """Whether every weight fits this number of bits."""
    end = 1 << bits - 1
    return bits == 8 or bool(((weights >= -end) & (weights < end)).all())


def pack(weights: Bytes, bits: int) -> Bytes:
    """Pack weights [n_post, n_pre], which must fit, as bytes."""
    each = 8 // bits
    if each == 1:
        return weights
    out = np.zeros(packed_shape(weights.shape, bits), np.uint8)
    for place in range(each):
        field = weights[:, place::each].view(np.uint8) & np.uint8((1 << bits) - 1)
        out[:, : field.shape[1]] |= field << np.uint8(bits * place)
    return out.view(np.int8)


def unpack(packed: Bytes, shape: tuple[int, ...], bits: int) -> Bytes:
    """Weights of this shape; raises ValueError for bytes that `pack` cannot have written."""
    each = 8 // bits
    if each == 1:
        whole, weights = within(packed, bits), packed
    else:
        weights = np.empty(shape, np.int8)
        down = np.int8(8 - bits)  # a right shift of int8 extends the sign
        for place in range(each):
            field = weights[:, place::each]
            top = packed.view(np.uint8)[:, : field.shape[1]] << np.uint8(8 - bits * (place + 1))
            field[:] = top.view(np.int8) >> down
        whole = np.array_equal(pack(weights, bits), packed)
    if not whole:
        raise ValueError(f"bytes that hold no weights of {bits} bits")
    return weights

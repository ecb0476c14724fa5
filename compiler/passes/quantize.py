"""quantize: float weights to int8 with one free scale per output channel, a matrix at a time.

Needs: a weight that can be loaded.  Leaves: a matrix that quantises again whenever it is loaded, so
that no more than one layer is ever in memory, and its scales.  The scale is the channel's largest
weight / 127; it is folded into the receiving compartment's own multiplier, never into a power of two.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from las_neuro.graph import Tensor

WEIGHT_LIMIT = 127


@dataclass(frozen=True)
class Quantized:
    """int8 [n_post, n_pre] = round(weight / scale), made on demand."""

    tensor: Tensor
    scale: NDArray[np.float64] = field(repr=False)  # [n_post]

    @property
    def shape(self) -> tuple[int, int]:
        return (self.tensor.shape[0], self.tensor.shape[1])

    def load(self) -> NDArray[np.int8]:
        scaled = self.tensor.load() / self.scale[:, None]
        return np.rint(scaled).clip(-WEIGHT_LIMIT, WEIGHT_LIMIT).astype(np.int8)


@dataclass(frozen=True)
class Unweighted:
    """The shape of a matrix whose weights are not there: planning reads no checkpoint."""

    shape: tuple[int, int]

    def load(self) -> NDArray[np.int8]:
        raise ValueError("a plan has no weights")


@dataclass(frozen=True)
class TableRows:
    """Host table in payloads: int32 [rows, n] = round(table / unit)."""

    tensor: Tensor
    unit: float

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape

    def load(self) -> NDArray[np.int32]:
        return np.rint(self.tensor.load() / self.unit).astype(np.int32)


def quantize(weight: Tensor) -> Quantized:
    """Per-channel scales of one weight; a channel of zeros gets scale 1."""
    peak = np.abs(weight.load()).max(axis=1).astype(np.float64)
    return Quantized(weight, np.where(peak > 0, peak / WEIGHT_LIMIT, 1.0))

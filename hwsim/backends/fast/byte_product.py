"""Exact products of spike digits and int8 weights by oneDNN's 8-bit kernels, where available.

Up to 7 consecutive binary digits with a sign fit a byte, whichever spikes carry them: a window of
16 digits costs three byte products, whether its code is binary, signed-digit or graded.  A byte
product takes a ninth of the time of a float32 product on a CPU with VNNI.  Kernels without VNNI may
saturate at 16 bits, and torch declares this operator internal.  So it is tried once on the largest
possible values, and the engine falls back to float32 or float64 where it is absent or inexact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import torch

from compiler.netlist.trains import Digits

Tensor = torch.Tensor
BYTE_DIGITS = 7
ZERO = 128  # the byte that stands for 0
EXACT = 2**24  # float32 holds integers up to here: the operator's result
MOST_OUTLIERS = 8  # at most 1 of 8 columns may carry outlier payloads


@dataclass(frozen=True)
class ByteWeights:
    """Weights of one dense group, packed for the kernels."""

    packed: Tensor
    ones: Tensor  # [n_post]: the weights' scales
    zeros: Tensor  # [n_post]: their zero points
    columns: Tensor  # sources with an outlier compartment, [c]
    outlier_weights: Tensor  # [n_post, c], float32

    @staticmethod
    def of(weights: Tensor, outliers: Tensor, reach: int) -> ByteWeights | None:
        """Pack int8 weights [n_post, n_pre]; None where byte products are not possible.

        outliers: which sources may send outlier payloads [n_pre].  reach: the largest sum where
        all digits are 1, outlier payloads included.
        """
        columns = outliers.nonzero().reshape(-1)
        too_many = len(columns) * MOST_OUTLIERS > weights.shape[1]
        if weights.is_cuda or too_many or reach * 2**BYTE_DIGITS >= EXACT or not exact():
            return None
        return ByteWeights(
            _kernels().qlinear_prepack(weights, None),
            torch.ones(len(weights)),
            torch.zeros(len(weights), dtype=torch.int32),
            columns,
            weights[:, columns].float(),
        )

    def totals(
        self, train: Digits, segments: list[tuple[int, int]], shift: tuple[int, ...]
    ) -> list[Tensor]:
        """For each segment, the sum over its steps of weight * payload << shift: [rows, n_post]."""
        plain = train
        if train.payload is not None and len(self.columns):
            plain = replace(train, payload=train.payload.sign())
        runs = [run for segment in segments for run in _runs(train, segment, shift)]
        flat = [_flat(plain.bits(low, width)) for low, width, _, _ in runs]  # each [rows, n_pre]
        sums = self._product(torch.cat([digits + ZERO for digits in flat]).to(torch.uint8))
        if len(self.columns) and train.payload is not None:
            excess = (train.payload.abs() - 1).reshape(flat[0].shape)[:, self.columns]
            extra = torch.cat([digits[:, self.columns] * excess for digits in flat]).float()
            sums += torch.nn.functional.linear(extra, self.outlier_weights)
        parts = list(zip(runs, sums.to(torch.int32).chunk(len(runs)), strict=True))
        return [
            _add([part << run.up for run, part in parts if run.segment == segment])
            for segment in segments
        ]

    def _product(self, digits: Tensor) -> Tensor:
        return _linear(digits, self.packed, self.ones, self.zeros)


def _add(parts: list[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _kernels() -> Any:
    """oneDNN's operators in torch; AttributeError where torch was built without them."""
    from torch import _ops

    return _ops.ops.onednn


class _Run(NamedTuple):
    """Consecutive binary digits in one byte; the lowest counts 2**up in its segment."""

    low: int
    width: int
    up: int
    segment: tuple[int, int]


def _runs(train: Digits, segment: tuple[int, int], shift: tuple[int, ...]) -> list[_Run]:
    """The digits of a segment in bytes of up to 7; a byte may hold digits of several steps."""
    low, up = train.low(*segment, shift)
    count = (segment[1] - segment[0]) * train.digit_bits
    return [
        _Run(low + at, min(BYTE_DIGITS, count - at), up + at, segment)
        for at in range(0, count, BYTE_DIGITS)
    ]


def _flat(digits: Tensor) -> Tensor:
    """[batch, tokens, *axes] -> [rows, n_pre]."""
    return digits.reshape(digits.shape[0] * digits.shape[1], -1)


def _linear(digits: Tensor, packed: Tensor, ones: Tensor, zeros: Tensor) -> Tensor:
    """(digits - ZERO) @ weights^T as float32; digits uint8 [rows, n_pre]."""
    sums: Tensor = _kernels().qlinear_pointwise(
        digits, 1.0, ZERO, packed, ones, zeros, None, 1.0, 0, torch.float32, "none", [], ""
    )
    return sums


@cache
def exact() -> bool:
    """Whether the kernels exist and are exact for extreme values, also in small and odd shapes."""
    generator = torch.Generator().manual_seed(0)
    for rows, n_pre, n_post in ((1, 8, 3), (5, 257, 64), (64, 512, 33)):
        digits = torch.randint(0, 2, (rows, n_pre), generator=generator) * 254 + 1
        weights = torch.randint(0, 2, (n_post, n_pre), generator=generator) * 254 - 127
        try:
            packed = _kernels().qlinear_prepack(weights.to(torch.int8), None)
            zeros = torch.zeros(n_post, dtype=torch.int32)
            sums = _linear(digits.to(torch.uint8), packed, torch.ones(n_post), zeros)
        except (AttributeError, RuntimeError):
            return False
        if not torch.equal(sums.long(), (digits - ZERO) @ weights.T):
            return False
    return True

"""Byte products equal integer products, and the engine does not depend on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from compiler.convert import convert
from compiler.netlist.trains import Digits
from compiler.pipeline import build
from hwsim.backends.fast import byte_product
from hwsim.backends.fast.byte_product import ByteWeights
from hwsim.backends.fast.engine import Engine

needs_kernels = pytest.mark.skipif(
    not byte_product.exact(), reason="this torch or CPU has no exact 8-bit kernels"
)


def train(rows: int, n: int, outliers: torch.Tensor, shift: int, seed: int) -> Digits:
    """Random 16-digit codes, the extremes first."""
    draw = torch.Generator().manual_seed(seed)
    magnitude = torch.randint(0, 2**16, (1, rows, n), generator=draw, dtype=torch.int32)
    magnitude[0, 0] = 2**16 - 1
    sign = torch.randint(0, 2, (1, rows, n), generator=draw, dtype=torch.int32) * 2 - 1
    loud = torch.randint(0, 2, (1, rows, n), generator=draw, dtype=torch.int32) * outliers
    return Digits(magnitude, sign << (loud * shift), tuple(range(16)), 1 << shift)


@needs_kernels
@pytest.mark.parametrize("outlying", [0, 3])
@pytest.mark.parametrize("segments", [[(0, 16)], [(0, 9), (9, 16)], [(0, 4), (4, 11), (11, 16)]])
def test_totals_are_the_integer_sums(segments: list[tuple[int, int]], outlying: int) -> None:
    n_pre, n_post, shift = 48, 20, 3
    weights = torch.randint(-127, 128, (n_post, n_pre), dtype=torch.int8)
    outliers = torch.zeros(n_pre, dtype=torch.int64)
    outliers[:outlying] = 1
    packed = ByteWeights.of(weights, outliers, reach=127 * n_pre * 8)
    assert packed is not None
    sent = train(7, n_pre, outliers.int(), shift if outlying else 0, seed=outlying)
    weighs = tuple(k - lo for lo, hi in segments for k in range(lo, hi))
    found = packed.totals(sent, segments, weighs)
    for total, (lo, hi) in zip(found, segments, strict=True):
        wanted = sent.plane(lo, hi, weighs)[0].long() @ weights.long().T
        assert torch.equal(total.long(), wanted)


def test_many_outliers_or_long_reach_are_left_to_floats() -> None:
    weights = torch.ones((4, 8), dtype=torch.int8)
    every = torch.ones(8, dtype=torch.int64)
    assert ByteWeights.of(weights, every, reach=8) is None
    assert ByteWeights.of(weights, every * 0, reach=2**17) is None


@pytest.mark.parametrize("family", ["llama", "bert"])
def test_the_engine_gives_the_same_without_them(
    save_model: Callable[..., Path], family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, graph = convert(save_model(family))
    net, tokens = build(graph), np.array([[3, 60, 17, 17, 5, 33]])
    with_bytes = Engine(net)
    first = with_bytes.run(tokens)
    monkeypatch.setattr(byte_product, "exact", lambda: False)
    without = Engine(net)
    assert all(c.bytes is None for channels in without.into.values() for c in channels)
    assert torch.equal(first, without.run(tokens))
    assert with_bytes.counters.equals(without.counters) == []

"""Thousands of tokens: no sum leaves its word, a run's memory is bounded, outputs stay right."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from compiler.convert import convert
from compiler.netlist.model import Population, Written
from compiler.netlist.trains import Digits
from compiler.pipeline import build
from hwsim.backends.fast import written
from hwsim.backends.fast.engine import Engine
from las_neuro.checkpoint import Checkpoint
from las_neuro.integers import WORD_LIMIT
from las_neuro.reference.model import FloatModel

TOKENS = 4096
SMALL: dict[str, Any] = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 20}


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def round_weights(path: Path) -> None:
    """Weights that int8 holds exactly: what remains is the error of spikes and softmax.

    Milder queries and keys than the fixture's, so that tokens look at thousands of others.
    """
    weights = load_file(path)
    for name, weight in weights.items():
        if weight.ndim == 2 and "embed" not in name:
            scale = np.abs(weight).max(1, keepdims=True) / 127
            scale, rounded = scale * (0.3 if "q_" in name or "k_" in name else 1.0), weight / scale
            weights[name] = (np.rint(rounded) * scale).astype(np.float32)
    save_file(weights, path, {"format": "pt"})


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "mistral"])
def test_four_thousand_tokens(save_model: Callable[..., Path], family: str) -> None:
    """As near to the float model at the end as at the start; a window needs less than all slots."""
    window = {"sliding_window": 256} if family == "mistral" else {}
    kv = {"num_key_value_heads": 1, "max_position_embeddings": TOKENS}
    folder = save_model(family, **SMALL, **kv, **window)
    round_weights(folder / "model.safetensors")
    net = build(convert(folder)[1])
    tokens = np.random.default_rng(2).integers(0, 61, (1, TOKENS))
    engine, before = Engine(net), megabytes()
    ours = engine.run(tokens)[0].double().numpy() * net.populations[net.output].unit
    assert megabytes() - before < 250  # all scores at once would be 256 MB for a layer, in int64
    theirs = FloatModel.load(Checkpoint.open(folder)).logits(tokens)[0]
    error = np.sqrt(((ours - theirs) ** 2).mean(1)) / theirs.std()
    assert error[-256:].mean() < 1.5 * error[:256].mean()
    assert error.mean() < 0.04
    counts = engine.counters.populations
    assert [name for name, c in counts.items() if c.clamps or c.wraps] == []


@pytest.mark.parametrize("limit", [3, 2047, 40000])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("cuts", [(0, 1, 1, 1, 1, 1, 1, 1), (0, 0, 2, 0, 0, 3, 0, 0)])
def test_all_segments_at_once_are_the_chain_of_cuts(
    limit: int, signed: bool, cuts: tuple[int, ...]
) -> None:
    """Where the content is large enough to wrap, segment by segment; the results are the same."""
    random = torch.Generator().manual_seed(limit)
    slots, tokens, wide = 300, 4, 3
    content = torch.randint(-limit, limit + 1, (1, slots, wide), generator=random).int()
    shape = (1, tokens, slots)
    magnitude = torch.randint(0, 256, shape, generator=random).int()
    sign = torch.randint(-1, 2, shape, generator=random).int() if signed else (magnitude > 0).int()
    seen = torch.arange(slots) <= torch.arange(tokens)[:, None] + slots - tokens
    digits = Digits(magnitude * (sign != 0) * seen, sign, tuple(range(8)))
    done = np.cumsum(cuts)
    shift = tuple(int(k - done[k]) for k in range(8))
    starts = [0, *np.flatnonzero(cuts).tolist()]
    segments = list(zip(starts, [*starts[1:], 8], strict=True))
    form = Written(("j", "d"), "value", "pointer", limit)
    source = Population("weights", "encode", {"j": slots}, {})
    target = Population("mixed", "integrate", {"d": wide}, {})
    layout = written.ProductAxes.of(source, target, form)
    assert layout is not None
    given = digits, written.Entries(content, seen), layout, form, target, segments, shift
    at_once, apart = (written.totals(*given, alone=alone) for alone in (True, False))
    exact = content.long()[0]
    for total, (lo, hi) in zip(apart, segments, strict=True):
        plane = digits.plane(lo, hi, shift)[0].long()
        torch.testing.assert_close(total[0].long(), plane @ exact, rtol=0, atol=0)
    assert (at_once[0].ndim == 0) == (limit < 40000)
    results = []
    for totals in (at_once, apart):
        u = torch.zeros((), dtype=torch.int64)
        for total, (lo, _) in zip(totals, segments, strict=True):
            half = 0 if any(cuts[lo + 1 :]) else (1 << cuts[lo]) >> 1
            u = ((u + half) >> cuts[lo]) + total.long()
        results.append(u)
    assert torch.equal(*results)
    assert results[0].abs().max() <= WORD_LIMIT or limit == 40000


def test_entries_go_to_their_slots() -> None:
    """Slots 0..3 were used; tokens 6 to 8 take 2, 3 and 0."""
    x = torch.tensor([10, 11, 12, 13, 1, 2, 3])
    assert written.by_slot(x, 0, 4, 6, 3).tolist() == [10 + 3, 11, 12 + 1, 13 + 2]
    assert written.by_slot(x[:3], 0, 5, 0, 3).tolist() == [10, 11, 12, 0, 0]
    assert written.by_slot(x[:5], 0, 3, 0, 5).tolist() == [10 + 13, 11 + 1, 12]

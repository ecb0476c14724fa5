"""Sliding windows: keys and values are rings; both engines agree long after the rings are full."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engines import same_weights

from compiler.convert import convert
from compiler.netlist.check import check
from compiler.netlist.model import Netlist
from compiler.netlist.wiring import Wiring
from compiler.pipeline import build
from hwsim.backends.fast.engine import Engine
from hwsim.backends.fast.session import spike_listener
from hwsim.backends.step.stepper import Stepper
from hwsim.backends.traces import Trace, first_difference
from las_neuro.errors import PromptError
from las_neuro.systems import find

SaveModel = Callable[..., Path]
TOKENS = np.random.default_rng(3).integers(2, 61, 17)
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "window-5": ("mistral", {"sliding_window": 5, "num_key_value_heads": 2}),
    "window-1": ("mistral", {"sliding_window": 1, "num_key_value_heads": 4}),
    "one-layer": (
        "qwen2",
        {"sliding_window": 6, "use_sliding_window": True, "max_window_layers": 1}
        | {"num_key_value_heads": 2},
    ),
}
PIECES = ((17,), (1,) * 17, (3, 14), (5, 5, 7), (4, 1, 6, 2, 4), (11, 6))


def slots(net: Netlist) -> list[int]:
    """Of what gates scores, of keys and of values, layer by layer."""
    return [net.content_axes(form)["j"] for _, form in Wiring(net).written]


@pytest.mark.parametrize("case", CASES)
def test_every_spike_and_every_count(save_model: SaveModel, case: str) -> None:
    family, fields = CASES[case]
    net = build(convert(save_model(family, **fields))[1])
    check(net)
    window = fields["sliding_window"]
    assert slots(net) == ([20] * 3 if case == "one-layer" else [window] * 3) + [window] * 3
    plain = Trace(net)
    stepper = Stepper(net, on_spike=plain.spike)
    read = stepper.run(TOKENS)
    for pieces in PIECES:
        fast = Trace(net)
        engine = Engine(net, on_train=spike_listener(fast.spike))
        ends = np.cumsum(pieces)[:-1]
        parts = [engine.run(part[None])[0].numpy() for part in np.split(TOKENS, ends)]
        np.testing.assert_array_equal(np.concatenate(parts), read)
        assert first_difference(fast, plain) is None
        assert engine.counters.equals(stepper.counters) == []
        same_weights(engine, stepper)


@pytest.mark.parametrize("code", ["signed-digit", "graded"])
def test_other_codes(save_model: SaveModel, code: str) -> None:
    family, fields = CASES["window-5"]
    net = build(convert(save_model(family, **fields), system=find("las", {"code": code}))[1])
    plain, fast = Trace(net), Trace(net)
    stepper, engine = (
        Stepper(net, on_spike=plain.spike),
        Engine(net, on_train=spike_listener(fast.spike)),
    )
    read = stepper.run(TOKENS[:9])
    parts = [engine.run(part[None])[0].numpy() for part in np.split(TOKENS[:9], [7])]
    np.testing.assert_array_equal(np.concatenate(parts), read)
    assert first_difference(fast, plain) is None
    assert engine.counters.equals(stepper.counters) == []


def test_sequences_of_a_batch_do_not_meet(save_model: SaveModel) -> None:
    family, fields = CASES["window-5"]
    net = build(convert(save_model(family, **fields))[1])
    batch = np.stack([TOKENS, TOKENS[::-1]])
    together = Engine(net)
    found = torch.cat([together.run(batch[:, :7]), together.run(batch[:, 7:])], dim=1)
    for i in range(2):
        assert torch.equal(found[i], Engine(net).run(batch[i : i + 1])[0])


def test_what_left_the_window_is_forgotten(save_model: SaveModel) -> None:
    """Two layers of window 5 reach back 8 tokens, and no further."""
    family, fields = CASES["window-5"]
    net = build(convert(save_model(family, **fields))[1])
    other = TOKENS.copy()
    other[3] = (other[3] + 7) % 59
    one, two = (Engine(net).run(tokens[None])[0] for tokens in (TOKENS, other))
    same = (one == two).all(1)
    assert same[:3].all()
    assert not same[3]
    assert not same[8:12].all()
    assert same[12:].all()


def test_the_context_stays_the_limit(save_model: SaveModel) -> None:
    family, fields = CASES["window-5"]
    net = build(convert(save_model(family, **fields))[1])
    engine = Engine(net)
    engine.run(np.resize(TOKENS, (1, 20)))
    with pytest.raises(PromptError, match="context of 20"):
        engine.run(TOKENS[None, :1])

"""Both engines on one-layer models: every spike, count and read-out is the same.

Each model is compiled once for the whole module; a window of tokens comes in pieces of any size.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engines import same_in_both
from random_models import random_model

from compiler.convert import convert
from compiler.netlist.model import Dense, InMemory, Netlist, Synapses
from compiler.pipeline import build
from hwsim.backends.fast import engine as engine_module
from hwsim.backends.fast.engine import Engine
from hwsim.backends.fast.session import spike_listener
from hwsim.backends.step.stepper import Stepper
from hwsim.backends.traces import Trace, first_difference
from las_neuro.systems import find

TOKENS = np.array([3, 60, 17, 17, 5, 9, 33, 8])
RING = {"num_key_value_heads": 2, "sliding_window": 3}
MODELS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "grouped": ("llama", {"num_key_value_heads": 2}, {}),
    "ring": ("mistral", RING, {}),
    "ring-of-one": ("mistral", {"num_key_value_heads": 4, "sliding_window": 1}, {}),
    "signed": (
        "mistral",
        {"num_key_value_heads": 2, "sliding_window": 3},
        {"code": "signed-digit"},
    ),
    "graded": ("mistral", {"num_key_value_heads": 1, "sliding_window": 3}, {"code": "graded"}),
    "short": ("llama", {"num_key_value_heads": 2}, {"steps": 6}),
    "encoder": ("bert", {}, {}),
    "signed-encoder": ("bert", {}, {"code": "signed-digit"}),
}


@cache
def netlist(name: str) -> Netlist:
    family, fields, options = MODELS[name]
    with tempfile.TemporaryDirectory() as folder:
        model = random_model(family, num_hidden_layers=1, **fields)
        model.save_pretrained(folder, safe_serialization=True)
        net = build(convert(Path(folder), system=find("las", options))[1])
        net.synapses = [in_memory(group) for group in net.synapses]
        net.tables = [replace(table, rows=InMemory(table.rows.load())) for table in net.tables]
        return net


def in_memory(group: Synapses) -> Synapses:
    """The group without its file."""
    if not isinstance(group.form, Dense):
        return group
    return replace(group, form=replace(group.form, weights=InMemory(group.form.weights.load())))


@pytest.mark.parametrize("name", MODELS)
def test_every_spike_and_every_count(name: str) -> None:
    same_in_both(netlist(name), TOKENS)


@pytest.mark.parametrize("name", ["grouped", "ring", "ring-of-one", "signed", "graded"])
@pytest.mark.parametrize("pieces", [(5, 3), (1, 4, 2, 1)])
def test_tokens_in_pieces(name: str, pieces: tuple[int, ...]) -> None:
    net = netlist(name)
    fast, plain = Trace(net), Trace(net)
    engine, stepper = (
        Engine(net, on_train=spike_listener(fast.spike)),
        Stepper(net, on_spike=plain.spike),
    )
    parts = np.split(TOKENS, np.cumsum(pieces)[:-1])
    read = np.concatenate([engine.run(part[None])[0].numpy() for part in parts])
    np.testing.assert_array_equal(read, stepper.run(TOKENS))
    assert first_difference(fast, plain) is None
    assert engine.counters.equals(stepper.counters) == []


@pytest.mark.parametrize("name", ["grouped", "ring", "encoder"])
def test_a_batch_is_its_sequences(name: str) -> None:
    net = netlist(name)
    batch = np.stack([TOKENS, TOKENS[::-1], (TOKENS * 7) % 61])
    together = Engine(net)
    read = together.run(batch)
    counts = [0] * 3
    for i in range(3):
        alone = Engine(net)
        assert torch.equal(read[i], alone.run(batch[i : i + 1])[0])
        counts[i] = sum(int(c.spikes.sum()) for c in alone.counters.populations.values())
    assert sum(int(c.spikes.sum()) for c in together.counters.populations.values()) == sum(counts)
    assert (together.counters.tokens, together.counters.sequences) == (24, 3)


def test_a_long_window_is_cut_into_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 64 tokens; of 16 where each has many scores; an encoder's is never cut."""
    heard: list[int] = []

    def listen(population: Any, train: Any, start: int) -> None:
        if population.name == net.output:
            heard.append(start)

    net = netlist("grouped")
    monkeypatch.setattr(engine_module, "CHUNK", 5)
    monkeypatch.setattr(engine_module, "FEWEST", 2)
    whole = Engine(net, on_train=listen).run(TOKENS[None])
    assert heard == [0, 5]
    heard.clear()
    monkeypatch.setattr(engine_module, "SCORES", 1)
    assert torch.equal(Engine(net, on_train=listen).run(TOKENS[None]), whole)
    assert heard == [0, 2, 4, 6]
    heard.clear()
    net = netlist("encoder")
    Engine(net, on_train=listen).run(TOKENS[None])
    assert heard == [0]


def test_pieces_are_shorter_where_a_token_has_many_scores() -> None:
    """4 heads of 20 slots: 1 << 20 scores are those of 25 tokens of 512 sequences."""
    engine = Engine(netlist("grouped"))
    assert engine.scores == {(1, 20), (4, 20)}
    assert engine._piece(1) == 64
    assert engine._piece(512) == 25
    assert engine._piece(100_000) == 16
    engine = Engine(netlist("ring"))
    assert engine.scores == {(1, 3), (4, 3)}

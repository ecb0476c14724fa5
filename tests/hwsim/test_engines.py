"""The fast and the step engine give the same spikes, counts and read-outs on whole models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compiler.convert import convert
from compiler.netlist.kinds import KINDS, Outcome, WindowOutcome
from compiler.netlist.model import Netlist
from compiler.netlist.trains import Graded
from compiler.pipeline import build
from compiler.weights.quantize import quantize
from hwsim.backends.fast import engine as engine_module
from hwsim.backends.fast.engine import Engine
from hwsim.backends.fast.session import spike_listener
from hwsim.backends.step.stepper import Stepper
from hwsim.backends.traces import Trace, first_difference
from las_neuro.errors import BackendError
from las_neuro.graph import Graph, Node, Tensor
from las_neuro.reference import interpret
from las_neuro.systems.las import Las

CASES: dict[str, dict[str, Any]] = {
    "llama": {"num_key_value_heads": 2, "tie_word_embeddings": False},
    "llama-tied": {"num_key_value_heads": 4, "tie_word_embeddings": True},
    "opt": {},
    "opt-gelu": {"activation_function": "gelu"},
    "bert": {},
    "gpt2": {},
    "gpt_neox": {},
    "gpt_neox-sequential": {"use_parallel_residual": False},
    "roberta": {},
    "distilbert": {},
}


def compiled(save_model: Callable[..., Path], case: str, steps: int = 16) -> Netlist:
    """A two-layer random model as a netlist."""
    folder = save_model(case.split("-")[0], **CASES[case])
    _, graph = convert(folder, system=Las(steps=steps))
    return build(graph)


def run_both(net: Netlist, tokens: np.ndarray) -> tuple[Engine, Stepper, Trace, Trace]:
    """The same tokens [count] through both engines."""
    fast, plain = Trace(net), Trace(net)
    engine, stepper = (
        Engine(net, on_train=spike_listener(fast.spike)),
        Stepper(net, on_spike=plain.spike),
    )
    outputs = engine.run(tokens[None])[0].numpy()
    np.testing.assert_array_equal(outputs, stepper.run(tokens))
    return engine, stepper, fast, plain


@pytest.mark.parametrize("case", CASES)
def test_every_spike_and_every_count(save_model: Callable[..., Path], case: str) -> None:
    net = compiled(save_model, case)
    engine, stepper, fast, plain = run_both(net, np.array([3, 60, 17, 17, 5]))
    assert first_difference(fast, plain) is None
    assert engine.counters.equals(stepper.counters) == []
    silent = [p.name for p in net.populations.values() if p.sends and p.name not in plain.payloads]
    assert len(silent) < len(net.populations) / 10


def test_every_kind_takes_part(save_model: Callable[..., Path]) -> None:
    nets = [compiled(save_model, case) for case in ("llama", "bert")]
    assert {p.kind for net in nets for p in net.populations.values()} == set(KINDS) - {
        "fire",
        "few_spikes",
        "leak",
    }  # test_systems.py, test_few_spikes.py, test_spikelm.py


@pytest.mark.parametrize("steps", [4, 7, 12, 20])
def test_every_code_length(save_model: Callable[..., Path], steps: int) -> None:
    net = compiled(save_model, "llama", steps)
    _, _, fast, plain = run_both(net, np.array([3, 60, 17]))
    assert first_difference(fast, plain) is None


def test_tokens_one_by_one_are_the_same_run(save_model: Callable[..., Path]) -> None:
    net = compiled(save_model, "llama")
    tokens = np.array([3, 60, 17, 17, 5, 9])
    whole, steps = Engine(net), Engine(net)
    at_once = whole.run(tokens[None])[0]
    parts = [steps.run(tokens[None, i:j])[0] for i, j in ((0, 3), (3, 4), (4, 6))]
    assert torch.equal(at_once, torch.cat(parts))
    assert whole.counters.equals(steps.counters) == []


def test_sequences_of_a_batch_do_not_meet(save_model: Callable[..., Path]) -> None:
    net = compiled(save_model, "bert")
    batch = np.array([[3, 60, 17, 5], [8, 8, 1, 44]])
    together = Engine(net).run(batch)
    for i in range(2):
        assert torch.equal(together[i], Engine(net).run(batch[i : i + 1])[0])


def rounded(graph: Graph) -> Graph:
    """The graph with its weights as int8 holds them: what remains is the code's own error."""

    def held(node: Node) -> Node:
        if node.op != "linear":
            return node
        value = quantize(node.weights["weight"].load().astype(np.float64)).value()
        weight = Tensor.of("int8", value.astype(np.float32))
        return replace(node, weights={**node.weights, "weight": weight})

    return graph.mapped(held)


@pytest.mark.parametrize("case", CASES)
def test_outputs_follow_the_float_graph(save_model: Callable[..., Path], case: str) -> None:
    """Beyond the weights' own rounding, 1 % of the output's spread; random weights are hard."""
    _, graph = convert(save_model(case.split("-")[0], **CASES[case]))
    net = build(graph)
    tokens = np.array([[3, 60, 17, 17, 5, 33, 21, 9]])
    found = Engine(net).run(tokens).double() * net.populations[net.output].unit
    wanted = interpret.final(rounded(graph), tokens, torch.float64)
    error = (found - wanted).pow(2).mean().sqrt() / wanted.std()
    assert error < 0.01


@pytest.mark.parametrize("fault", ["float", "wide"])
def test_only_integers_of_24_bits_travel(
    save_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """A kind that sends a float, or leaves the word, stops both engines by name."""
    net, tokens = compiled(save_model, "llama"), np.array([3, 60])
    right = KINDS["product"]
    assert right.window is not None
    change = (lambda x: x * 0.5) if fault == "float" else (lambda x: x * 0 + 2**24)

    def step(*given: Any) -> Outcome:
        outcome = right.step(*given)
        return replace(outcome, payload=change(outcome.payload))

    def window(*given: Any) -> WindowOutcome:
        swept = right.window(*given)  # type: ignore[misc]
        return replace(swept, train=Graded(change(swept.train.value)))  # type: ignore[union-attr]

    monkeypatch.setitem(KINDS, "product", replace(right, step=step, window=window))
    monkeypatch.setattr(engine_module, "narrow", lambda train, word: train)
    with pytest.raises(BackendError, match=r"payload"):
        Stepper(net).run(tokens)
    with pytest.raises(BackendError, match="sent"):
        Engine(net).run(tokens[None])


def test_states_are_held_to_their_width(
    save_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    net, right = compiled(save_model, "llama"), KINDS["integrate"]

    def step(*given: Any) -> Outcome:
        outcome = right.step(*given)
        wide = {word: value + 2**24 for word, value in outcome.state.items()}
        return replace(outcome, state=wide)

    monkeypatch.setitem(KINDS, "integrate", replace(right, step=step))
    with pytest.raises(BackendError, match="'s u is int64"):
        Stepper(net).run(np.array([3]))

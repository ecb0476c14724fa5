"""An error budget is kept, spends little, and says what it chose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compiler.budget.choose import choose, predicted
from compiler.budget.measure import Alone, probe_batches
from compiler.compile import compile
from compiler.convert import calibrated, plan_graph
from compiler.netlist.model import Netlist
from hwsim.backends.fast.engine import Engine
from las_neuro.checkpoint import Checkpoint
from las_neuro.errors import CalibrationError, ConfigError
from las_neuro.reference.model import FloatModel
from las_neuro.reference.rounded import Probe, Rounding, rounded_weights

SaveModel = Callable[..., Path]


def divergence(folder: Path, net: Netlist, batches: list[np.ndarray]) -> float:
    """Mean KL of a netlist from its float model, nats a token."""
    model, each = FloatModel.load(Checkpoint.open(folder)), []
    for tokens in batches:
        found = Engine(net, count=False).run(tokens).double().numpy()
        exact = model.logits(tokens).astype(np.float64)
        pair = (exact, found * net.populations[net.output].unit)
        p, q = (x - np.log(np.exp(x).sum(-1, keepdims=True)) for x in pair)
        each.append((np.exp(p) * (p - q)).sum(-1).ravel())
    return float(np.concatenate(each).mean())


@pytest.fixture
def decoder(save_model: SaveModel) -> Path:
    return save_model("llama", tie_word_embeddings=True)


def test_a_looser_budget_costs_less_and_both_are_kept(decoder: Path) -> None:
    tight, loose = (compile(decoder, error_budget=budget) for budget in (1e-2, 3e-1))
    assert loose.period < tight.period
    batches = probe_batches(calibrated(decoder).batches)
    for net, budget in ((tight, 1e-2), (loose, 3e-1)):
        made = net.provenance["error_budget"]
        assert made["measured"] <= budget
        assert divergence(decoder, net, batches) < 1.5 * budget


def test_every_encoder_and_map_is_explained(decoder: Path) -> None:
    net = compile(decoder, error_budget=1e-2)
    choices = net.provenance["error_budget"]["choices"]
    graph = plan_graph(decoder)
    expected = {node.name for node in graph if node.op in ("encode", "linear")}
    assert {choice["node"] for choice in choices} == expected
    for choice in choices:
        level, unit = choice["what"].split()
        steps = net.populations[choice["node"]].params.get("digits") if unit == "digits" else None
        assert unit in ("digits", "plane", "planes")
        assert steps is None or steps == int(level)


def test_an_impossible_budget_is_refused(decoder: Path) -> None:
    with pytest.raises(CalibrationError, match="the finest tried gives"):
        compile(decoder, error_budget=1e-13, steps=6)


def test_an_encoder_without_text_has_no_budget(save_model: SaveModel) -> None:
    with pytest.raises(ConfigError, match="--calibrate"):
        compile(save_model("bert"), error_budget=1e-2)


def test_choose_takes_the_best_step_for_its_events(
    plan: Callable[..., Path],
) -> None:
    """All equal but for one encoder whose error is a thousand times the others'."""
    graph = plan_graph(plan("gpt2").parent)
    encoders = [node.name for node in graph if node.op == "encode"]
    alone = Alone(
        dict.fromkeys(encoders, 1e-6) | {encoders[0]: 1e-3},
        {node.name: 1e-9 for node in graph if node.op == "linear"},
    )
    levels = choose(graph, alone, 1e-2, 16)
    assert levels[encoders[0]] == max(levels.values()) > 4
    assert sum(predicted(alone, name, level) for name, level in levels.items()) < 1e-2


def test_the_probe_measures_what_was_changed(decoder: Path) -> None:
    found = calibrated(decoder)
    probe = Probe(found.graph, found.batches[:1])
    assert probe.error(Rounding()) == 0.0
    head = found.graph["lm_head"]
    weight = head.weights["weight"].load().astype(np.float64)
    small, large = (
        probe.error(Rounding(weights={"lm_head": rounded_weights(head, weight * (1 + share))}))
        for share in (1e-3, 2e-3)
    )
    assert large == pytest.approx(4 * small, rel=0.05)  # KL is quadratic in small errors

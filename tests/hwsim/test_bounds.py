"""Every operator of every family keeps its stated bound, and nothing else moves the output.

Random models, every switch of `switches.CASES`, one and two weight planes, 16 steps: each node's
error against its exact function of the run's own inputs, in double precision, element by element;
then the model's output against transformers in double precision.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bounds.bounded import Bounded, Share, hold, response
from bounds.rules import Bounds
from random_models import random_model
from switches import CASES
from trained_models import TRAINED

from compiler.convert import Calibrated, calibrated, coded, convert
from compiler.netlist.kinds import antilog, integrate, product
from compiler.netlist.model import HostTable, InMemory, Netlist
from compiler.pipeline import build
from las_neuro.graph import Graph, Node
from las_neuro.neurons.codes import FORMS
from las_neuro.neurons.firing import Firing
from las_neuro.patches import patches
from las_neuro.reference.interpret import RULES, Run
from las_neuro.reference.model import FloatModel
from las_neuro.systems import find

Compiled = tuple[Netlist, Graph]

VISION = {"vit": (3, 12, 12), "vit-classifier": (2, 8, 12)}
ALL = [*CASES, *(pytest.param(family, {}, id=family) for family in VISION)]
FIRST = {next(case.id for case in ALL if case.values[0] == case_.values[0]) for case_ in ALL}
SLOW_BUT_FIRST = [
    case if case.id in FIRST else pytest.param(*case.values, id=case.id, marks=pytest.mark.slow)
    for case in ALL
]
# transformers' own float32 islands (rotary angles, RMSNorm, softmax) in a double model
SAME_MODEL = 2e-5  # of the largest output
SAME_ARITHMETIC = 1e-9
# Of the output's error, what first order leaves open with two planes: the chip's reference of a
# softmax is up to an octave too high, and rounding then weighs up to twice as much.
CURVED = 0.45
# A bound is a worst case: all terms of a sum at once with the worst signs, a table's worst line.
LEAST_USED = {
    "linear": 0.2,
    "reduce": 0.1,
    "offset": 0.1,
    "function": 0.3,
    "exponential": 0.3,
    "input": 0.8,
}
# What does not average out, as a share of the rounding: a line lies on one side of a curve; where
# units are few places apart, halves are rounded up, one binary place apart always; a reference is
# never below its maximum; a table of one row has few values.
LEAN = {"function": 0.4, "sum": 0.4, "encode": 0.3, "maximum": 1.0, "input": 0.3}
LEAN |= {"memory": 0.3, "wait": 0.6}


def compiled(found: Calibrated, planes: int, steps: int = 16, code: str = "binary") -> Compiled:
    graph = coded(found, planes, steps, code)
    return build(graph), graph


@pytest.fixture
def measured(tmp_path: Path) -> Callable[..., Calibrated]:
    def make(family: str, **fields: Any) -> Calibrated:
        random_model(family, **fields).save_pretrained(tmp_path / family, safe_serialization=True)
        return calibrated(tmp_path / family)

    return make


def images(family: str) -> np.ndarray:
    random = np.random.default_rng(4)
    return random.uniform(-1, 1, (3, *VISION[family])).astype(np.float32)


def in_double(found: Calibrated, family: str, tokens: np.ndarray) -> torch.Tensor:
    """transformers' output with double weights, of those tokens that are an answer."""
    model = FloatModel.load(found.checkpoint)
    module = model.module.double()
    with torch.inference_mode():
        if family in VISION:
            made = module(torch.from_numpy(images(family)).double())
        else:
            made = module(torch.from_numpy(tokens))
    if model.kind == "classes":
        return made.logits[:, None]
    return made.logits if model.kind == "logits" else made.last_hidden_state


@pytest.mark.parametrize(("family", "fields"), SLOW_BUT_FIRST)
def test_every_operator_keeps_its_bound(
    measured: Callable[..., Calibrated], tokens: np.ndarray, family: str, fields: dict[str, Any]
) -> None:
    found = measured(family, **fields)
    rows = tokens
    if family in VISION:
        rows = patches(images(family), found.graph.pixels, found.graph.context)
    theirs = in_double(found, family, tokens)
    for planes in (1, 2):
        net, graph = compiled(found, planes)
        held = hold(net, graph, rows)
        check_bounds(net, held)
        check_output(rows, held, theirs, small=planes == 2)


def check_bounds(net: Netlist, held: Bounded) -> None:
    graph = held.graph
    parts = {p.node for p in net.populations.values()} - set(net.populations)
    assert all(graph[name].op == "square" for name in parts)
    summed_with_eps = {node.inputs[0] for node in graph if node.op == "offset"}
    absent = {n.name for n in graph if n.op in ("affine", "turn")} - set(net.populations)
    named = {node.name for node in graph if node.op not in ("view", "output")}
    assert set(held.shares) == named - parts - summed_with_eps - absent
    for share in held.shares.values():
        assert share.outside == 0, share
        assert share.used <= 1.0, share
        assert share.used > LEAST_USED.get(share.op, 0.9) or trivial(held, share), share
        if share.values > 1000:  # fewer do not average out
            assert abs(share.lean) < LEAN.get(share.op, 0.12), share
    assert np.median([share.used for share in held.shares.values()]) > 0.95


def trivial(held: Bounded, share: Share) -> bool:
    """Where nothing is rounded, and where all values are alike, as a dead rectifier's."""
    values = held.values[share.node]
    return share.bound == 0.0 or bool((values == values.flatten()[0]).all())


def check_output(rows: np.ndarray, held: Bounded, theirs: torch.Tensor, small: bool) -> None:
    """The float model with each operator's own error put in gives the netlist's output."""
    graph = held.graph
    float_model = response(graph, rows, {})
    size = float(theirs.abs().max())
    answers = theirs.shape[1]
    assert float((float_model[:, :answers] - theirs).abs().max()) < SAME_MODEL * size
    injected = response(graph, rows, held.errors)
    assert float((injected - held.output()).abs().max()) < SAME_ARITHMETIC * size
    if small:  # what one plane rounds away is too much for first order in a random model
        error, step = held.output() - float_model, 2.0**-8
        ends = [response(graph, rows, held.errors, share) for share in (step, -step)]
        first = (ends[0] - ends[1]) / (2 * step)
        assert float((error - first).norm()) < CURVED * float(error.norm())


@pytest.mark.parametrize("code", FORMS)
@pytest.mark.parametrize("steps", [6, 20])
def test_every_code_keeps_its_bound(
    measured: Callable[..., Calibrated], tokens: np.ndarray, code: str, steps: int
) -> None:
    net, graph = compiled(measured("gpt2"), 1, steps, code)
    held = hold(net, graph, tokens)
    assert [share for share in held.shares.values() if share.outside] == []


NEURONS = [("phase", {}), ("spikellm", {"steps": 4}), ("sdllm", {"train": "ternary"}), ("fas", {})]


@pytest.mark.parametrize("family", ["llama", "bert"])
@pytest.mark.parametrize(("name", "options"), [*NEURONS, ("spikelm", {})])
def test_firing_neurons_keep_their_bounds(
    save_model: Callable[..., Path],
    tokens: np.ndarray,
    family: str,
    name: str,
    options: dict[str, Any],
) -> None:
    folder = save_model(family)
    if name in TRAINED:
        TRAINED[name](folder)
    _, graph = convert(folder, system=find(name, options))
    held = hold(build(graph), graph, tokens)
    assert [str(share) for share in held.shares.values() if share.outside] == []
    fired = [held.shares[n.name] for n in graph if isinstance(n.attributes.get("code"), Firing)]
    assert fired
    assert all(share.used <= 1.0 for share in fired)


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
@pytest.mark.parametrize("planes", [1, 2])
def test_constants_are_as_near_as_their_words_hold(
    measured: Callable[..., Calibrated], tokens: np.ndarray, family: str, planes: int
) -> None:
    """What is foreseen is small for a reason: 15-bit multipliers, biases to half a payload."""
    net, graph = compiled(measured(family), planes)
    held, checked = hold(net, graph, tokens), 0
    bounds, run = Bounds(net, held.graph), Run(held.graph, tokens, torch.float64)
    for node in held.graph:
        if node.op == "linear" or node.name not in held.shares:
            continue
        operands = [held.value(name) for name in node.inputs]
        exact = RULES[node.op](run, node, operands)
        read = [held.value(name).numpy() for name in bounds.reads(node)]
        found = bounds.of(node, read, exact.numpy())
        unit = net.populations[node.name].unit
        allowed = 2.0**-14 * magnitude(run, node, operands, exact) + 0.5 * unit
        assert bool((torch.from_numpy(found.constants) <= allowed + 1e-9 * unit).all()), node.name
        checked += bool(found.constants.any())
    assert checked > 20


def magnitude(
    run: Run, node: Node, operands: list[torch.Tensor], exact: torch.Tensor
) -> torch.Tensor:
    """What the terms of a result add up to without their signs."""
    if node.op == "reduce":
        return RULES["reduce"](run, node, [operands[0].abs()]).abs()
    if node.op == "sum":
        return sum(x.abs() for x in run.aligned(node, operands))  # type: ignore[return-value]
    if node.op == "affine":
        return (operands[0] * run.load(node.weights["gain"])).abs()
    return torch.where(torch.isfinite(exact), exact, 0.0).abs()


@pytest.mark.parametrize("planes", [1, 2])
def test_weights_rounded_to_nearest_are_half_a_step_off(
    measured: Callable[..., Calibrated], tokens: np.ndarray, planes: int
) -> None:
    """An encoder that saw no text: no weight is moved by more than its row's scale allows."""
    found = measured("bert")
    assert not found.representative
    net, graph = compiled(found, planes)
    held = hold(net, graph, tokens)
    for name, wrong in held.bounds.matrices.items():
        weight = graph[name].weights["weight"].load().astype(np.float64)
        scale = np.abs(weight).max(axis=1, keepdims=True) / 127
        half = scale / (2 if planes == 1 else 256)
        assert bool((np.abs(wrong) <= half + 2.0**-15 * np.abs(weight) + 1e-12).all()), name
        assert np.abs(wrong).max() > 0.5 * half.min()


def off_by_one(net: Netlist, _: pytest.MonkeyPatch) -> str:
    table = net.tables[0]
    rows = InMemory(table.rows.load() + 1)
    net.tables[0] = HostTable(table.population, table.source, table.offset, rows)
    return "input"


def floored(module: Any) -> Callable[[Netlist, pytest.MonkeyPatch], None]:
    """The kind rounds down."""

    def spoil(_: Netlist, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(module, "shift_right", lambda x, by: x >> by)

    return spoil


def nearest_at_every_cut(_: Netlist, patch: pytest.MonkeyPatch) -> None:
    half = integrate.shift_right
    patch.setattr(integrate, "_cut", lambda u, cut, k: half(u, cut[k]) + 1)


SPOILS: dict[str, tuple[Callable[[Netlist, pytest.MonkeyPatch], Any], str]] = {
    "table": (off_by_one, "input"),
    "product": (floored(product), "product"),
    "antilog": (floored(antilog), "exponential"),
    "cut": (nearest_at_every_cut, "linear"),
}


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_lost_bit_breaks_a_bound(
    measured: Callable[..., Calibrated],
    tokens: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    spoil: str,
) -> None:
    net, graph = compiled(measured("gpt2"), 2)
    change, op = SPOILS[spoil]
    change(net, monkeypatch)
    held = hold(net, graph, tokens)
    assert op in {share.op for share in held.shares.values() if share.outside}


def test_another_table_is_refused(measured: Callable[..., Calibrated], tokens: np.ndarray) -> None:
    net, graph = compiled(measured("gpt2"), 1)
    name = next(p.name for p in net.populations.values() if p.kind == "segment")
    params = dict(net.populations[name].params)
    params["base"] = params["base"] + 1
    net.update(name, params=params)
    with pytest.raises(ValueError, match="is not the fitted table's"):
        hold(net, graph, tokens)

"""Operators as they are declared, nodes held to it, and what `verify` proves of a graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compiler.convert import plan_graph
from compiler.lowering.units import VARIANCE_BITS, fix_units
from compiler.passes.lower import RULES as LOWERING
from compiler.passes.lower import lower
from compiler.passes.split_phases import split_phases
from compiler.task import Task
from las_neuro import Checkpoint
from las_neuro.architectures import draw
from las_neuro.graph import LEVELS, OPS, Graph, Node, Range, Tensor, Value, verify
from las_neuro.graph.attributes import INTEGER, REAL, REQUIRED, Attribute
from las_neuro.reference.interpret import RULES, final
from las_neuro.systems.las import spiking

Plan = Callable[..., Path]
WEIGHT = {"weight": Tensor("w", (3, 4), lambda: np.zeros((3, 4), np.float32))}
X = {"c": 4}


def node(op: str, inputs: tuple[str, ...] = ("x",), **attributes: Any) -> Node:
    return Node("y", op, inputs, X, attributes)


def test_a_node_is_what_its_operator_declares() -> None:
    reduce = node("reduce", axis="c", factor=0.25)
    assert (reduce["axis"], reduce["factor"]) == ("c", 0.25)
    linear = Node("y", "linear", ("x",), {"c": 3}, weights=WEIGHT)
    assert [linear[name] for name in ("planes", "weight_bits", "clip")] == [1, 8, None]
    assert linear.attributes == {}
    finer = linear.with_attributes(planes=2)
    assert (finer["planes"], finer["weight_bits"], linear["planes"]) == (2, 8, 1)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: node("multply"), "node y: there is no operator 'multply'"),
        (lambda: node("square", plane=2), "node y: square sets 'plane'; declared: phase"),
        (lambda: node("view", planes=2), "view sets 'planes'"),
        (
            lambda: node("reduce", axis="c", factor="1"),
            "sets factor to '1'; declared: a number",
        ),
        (lambda: node("reduce", axis=0, factor=1), "sets axis to 0; declared: the name of"),
        (lambda: node("encode", signed=1), "sets signed to 1; declared: true or false"),
        (
            lambda: node("encode", signed=True, digits=2.0),
            "sets digits to 2.0; declared: an int",
        ),
        (lambda: node("encode", signed=True, digits=True), "sets digits to True"),
        (lambda: node("encode", signed=True, code=7), "declared: a Code or a Firing"),
        (lambda: node("encode", signed=True, spread=[1.0]), "declared: a numpy array of one dim"),
        (lambda: node("encode", signed=True, spread=np.ones((2, 2))), "sets spread"),
        (lambda: node("sum", ("x", "z"), signs=[1, 1]), "declared: a tuple of 1 and -1"),
        (lambda: node("sum", ("x", "z"), signs=(1, 2)), "sets signs"),
        (lambda: node("function", fn="sinus"), "sets fn to 'sinus'; declared: one of gelu, "),
        (lambda: node("function", fn="gelu", few_spikes=()), "declared: a tuple of SubDomain"),
        (lambda: node("reduce", axis=None, factor=1.0), "sets axis to None"),
        (lambda: node("reduce", axis="c"), "reduce does not set 'factor'; declared: a number"),
        (lambda: node("output"), "output does not set 'kind'; declared: one of classes, hidden"),
        (lambda: node("product"), r"product has 1 operands; declared: \(a, b\)"),
        (lambda: node("square", ("x", "z")), r"square has 2 operands; declared: \(x\)"),
        (lambda: node("sum", (), signs=(1,)), r"sum has 0 operands; declared: \(x, ...\)"),
        (lambda: node("input", source="token"), r"input has 1 operands; declared: \(\)"),
        (lambda: node("linear"), "linear has weights none; declared: bias, weight"),
        (lambda: Node("y", "square", ("x",), X, weights=WEIGHT), "has weights weight; declared: n"),
        (lambda: node("square")["planes"], "square is asked for 'planes'; declared: phase"),
        (lambda: node("square")["phase"], "square is asked for 'phase' before it is set"),
        (lambda: node("square").with_attributes(bits=3), "square sets 'bits'"),
    ],
)
def test_a_node_that_is_not_as_declared_is_refused(wrong: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        wrong()


def test_declarations_say_what_they_mean() -> None:
    for name, op in OPS.items():
        assert op.name == name
        assert op.meaning
        assert set(op.levels) <= set(LEVELS)
        for attribute in op.attributes.values():
            assert attribute.meaning
            assert attribute.default is REQUIRED or attribute.allows(attribute.default)
            assert LEVELS.index(attribute.since) <= LEVELS.index(op.levels[-1])
        assert all(weight.meaning for weight in op.weights.values())
        later = [a for a in op.attributes.values() if a.by is not None]
        assert all(attribute.default is REQUIRED for attribute in later)


def test_none_is_a_value_only_where_it_is_the_default() -> None:
    assert Attribute(INTEGER, "some", default=None).allows(None)
    assert not Attribute(INTEGER, "some", default=1).allows(None)
    assert not Attribute(REAL, "some").allows(None)
    assert Attribute(REAL, "some").allows(np.float32(1))
    assert Attribute(INTEGER, "some").allows(np.int64(1))


def test_every_operator_has_its_rules() -> None:
    """Spiking graphs are interpreted at each level, and phased ones lowered."""
    run = {name for name, op in OPS.items() if op.levels != ("model",)}
    assert run == set(RULES)
    assert run == set(LOWERING)
    assert {"wait", "offset", "linear"} <= run
    assert "attend" not in run


# Graphs.


@pytest.fixture
def model(plan: Plan) -> Graph:
    return draw(Checkpoint.from_config(plan("llama", num_key_value_heads=2)))


def changed(graph: Graph, name: str, **fields: Any) -> Graph:
    return graph.mapped(lambda one: replace(one, **fields) if one.name == name else one)


def attributed(graph: Graph, name: str, **attributes: Any) -> Graph:
    return graph.mapped(lambda one: one.with_attributes(**attributes) if one.name == name else one)


def test_a_graph_is_sound_at_its_level_alone(model: Graph, plan: Plan) -> None:
    drawn = spiking(model)
    coded = plan_graph(plan("bert"))
    phased = split_phases(coded, Task())
    for graph, level in ((model, "model"), (drawn, "spiking"), (coded, "spiking")):
        verify(graph, level)
    verify(phased, "phased")
    with pytest.raises(ValueError, match=r"embed_tokens.*: embed is of model graphs"):
        verify(model, "spiking")
    with pytest.raises(ValueError, match=r"embed_tokens.*: input is of spiking and phased graphs"):
        verify(drawn, "model")
    with pytest.raises(ValueError, match=r": does not set phase"):
        verify(coded, "phased")
    with pytest.raises(ValueError, match=r": sets phase, which phased graphs have"):
        verify(phased, "spiking")
    with pytest.raises(ValueError, match=r"\.spikes.*: does not set code"):
        verify(split_phases(drawn, Task()), "phased")


NORM, MAP, ATTENTION = "layers.0.input_layernorm", "layers.0.mlp.up_proj", "layers.0.self_attn"
RESIDUAL = "layers.0.attention_sum"
OTHER = Tensor("w", (5, 24), lambda: np.zeros((5, 24), np.float32))

UNSOUND: dict[str, tuple[Callable[[Graph], Graph], str]] = {
    "later": (lambda g: changed(g, f"{NORM}.square", inputs=(NORM,)), f"reads {NORM}, not drawn"),
    "nowhere": (lambda g: changed(g, f"{NORM}.square", inputs=("z",)), "reads z, not drawn before"),
    "map": (lambda g: changed(g, MAP, weights={"weight": OTHER}), r"its weight is \[5, 24\] and"),
    "square": (lambda g: changed(g, f"{NORM}.square", axes={"c": 5}), "has 5 values and reads 24"),
    "gain": (lambda g: changed(g, NORM, weights={"gain": OTHER}), r"its gain is \[5, 24\]"),
    "table": (lambda g: changed(g, "embed_tokens", axes={"c": 5}), "its table is"),
    "patch": (lambda g: attributed(g, "embed_tokens", source="patch"), "either a table or patches"),
    "signs": (lambda g: attributed(g, RESIDUAL, signs=(1,)), "has 1 signs for 2 operands"),
    "spread": (
        lambda g: changed(g, f"{NORM}.normal", axes={"d": 24}),
        "do not spread over its",
    ),
    "axis": (lambda g: attributed(g, f"{NORM}.mean_square", axis="d"), r"\{c=24\}, without d"),
    "left": (lambda g: changed(g, f"{NORM}.mean_square", axes={"c": 1}), "without c"),
    "slots": (lambda g: attributed(g, f"{ATTENTION}.keys", groups=3), "does not hold 3 times"),
    "memory": (lambda g: changed(g, f"{ATTENTION}.keys", axes={"c": 1}), "axes h, j and d"),
    "recall": (lambda g: attributed(g, f"{ATTENTION}.scores", axis="j"), "summed over j"),
}


@pytest.mark.parametrize("fault", UNSOUND)
def test_an_unsound_graph_is_refused(model: Graph, fault: str) -> None:
    change, words = UNSOUND[fault]
    with pytest.raises(ValueError, match=words):
        verify(change(spiking(model)), "spiking")


def test_a_model_s_own_faults_are_found_too(model: Graph) -> None:
    with pytest.raises(ValueError, match="are not alike"):
        verify(attributed(model, ATTENTION, heads=3), "model")
    activation = next(one.name for one in model if one.op == "function")
    with pytest.raises(ValueError, match="reciprocal, which is no activation"):
        verify(attributed(model, activation, fn="reciprocal"), "model")
    spiking_only = attributed(model, MAP, planes=2)
    with pytest.raises(ValueError, match="sets planes, which spiking graphs have"):
        verify(spiking_only, "model")
    model.nodes["other"] = model.nodes.pop("output")
    with pytest.raises(ValueError, match="listed under another name"):
        verify(model, "model")


def test_mapped_keeps_order_and_the_graph_it_came_from(model: Graph) -> None:
    finer = spiking(model)
    before = finer.text()
    mapped = finer.mapped(lambda one: one.with_attributes(planes=2) if one.op == "linear" else one)
    assert list(mapped.nodes) == list(finer.nodes)
    assert {one["planes"] for one in mapped if one.op == "linear"} == {2}
    assert finer.text() == before
    named = {field.name for field in fields(Graph) if not field.name.startswith("_")} - {"nodes"}
    assert all(getattr(mapped, name) == getattr(finer, name) for name in named)


def test_a_phased_graph_computes_the_same(save_model: Callable[..., Path]) -> None:
    """Waits and repeated nodes change no value."""
    graph = spiking(draw(Checkpoint.open(save_model("bert"))))
    phased = split_phases(graph, Task())
    assert any(one.op == "wait" for one in phased)
    tokens = np.array([[3, 60, 17, 5, 33], [8, 8, 1, 44, 2]])
    assert torch.equal(final(graph, tokens), final(phased, tokens))


# The constant that a norm adds.


def test_a_norm_s_constant_is_a_node(model: Graph) -> None:
    graph = spiking(model)
    variance = graph[f"{NORM}.variance"]
    assert (variance.op, variance["constant"]) == ("offset", model[NORM]["eps"])
    assert variance.inputs == (f"{NORM}.mean_square",)
    assert graph[f"{NORM}.inverse"].inputs == (variance.name,)


def test_one_population_sums_and_adds_the_constant(plan: Plan) -> None:
    """Its unit goes by the range without the constant, and so does that of the squares."""
    graph = split_phases(plan_graph(plan("llama", rms_norm_eps=0.0625)), Task())
    seen = {
        f"{NORM}.mean_square": Range(3.0, 2.0, 0.1),
        f"{NORM}.variance": Range(3.0625, 2.0625, 0.1625),
    }
    graph = graph.with_ranges(seen)
    units = fix_units(graph)
    assert units[f"{NORM}.variance"] == 3.0 / 2**VARIANCE_BITS
    assert units[f"{NORM}.square"] == 3.0 * 24 / 2**21
    net = lower(graph, Task(weights=False))
    assert f"{NORM}.mean_square" not in net.populations
    population = net.populations[f"{NORM}.variance"]
    assert population.unit == units[f"{NORM}.variance"]
    assert population.scaling is not None
    assert population.scaling.bias == 0.0625 / population.unit
    (into,) = [group for group in net.synapses if group.target == population.name]
    assert into.source == f"{NORM}.square"


@pytest.mark.parametrize("of", ["square", "mean_square"])
def test_an_offset_that_cannot_share_a_population_has_its_own(plan: Plan, of: str) -> None:
    """Of a value that is no sum, or of a sum that another node reads as well."""
    graph = plan_graph(plan("llama"))
    source = graph[f"{NORM}.{of}"]
    graph.draw("more", "offset", (Value(graph, source.name),), source.axes, {"constant": 2.0})
    net = lower(split_phases(graph, Task()), Task(weights=False))
    into = [group.source for group in net.synapses if group.target == "more"]
    assert into == [source.name]
    scaling = net.populations["more"].scaling
    assert scaling is not None
    assert scaling.bias == 2.0 / net.populations["more"].unit
    assert f"{NORM}.variance" in net.populations

"""Every system: both engines give the same spikes, and the netlist follows its float graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engines import same_in_both

from compiler import compile
from compiler.compile import planned
from compiler.convert import convert
from compiler.mapping.footprint import weight_widths
from compiler.netlist.hdf5 import load, save
from compiler.netlist.kinds import KINDS
from compiler.netlist.model import Dense, Netlist
from compiler.options import Options
from compiler.pipeline import build
from compiler.weights.quantize import quantize
from hwsim.accounts.contents import contents
from hwsim.backends.fast.engine import Engine
from las_neuro.errors import ConfigError
from las_neuro.graph import Graph, Node, Tensor
from las_neuro.neurons.firing import Firing
from las_neuro.reference.interpret import final
from las_neuro.systems import find, names, system_class

TOKENS = np.array([3, 60, 17, 17, 5])
CASES: list[tuple[str, dict[str, Any], int]] = [
    ("sdllm", {"train": "ternary"}, 15),
    ("sdllm", {}, 31),
    ("sdllm", {"train": "graded", "k": 5}, 31),
    ("sdllm", {"train": "bitwise", "outliers": False}, 15),
    ("sdllm", {"train": "ternary", "outliers": False}, 7),
    ("sdllm", {"train": "twos_complement"}, 15),
    ("sdllm", {"train": "twos_complement", "outliers": False}, 1),
    ("sdllm", {"per_token": True}, 31),
    ("sdllm", {"train": "twos_complement", "per_token": True}, 15),
    ("spikellm", {}, 2),
    ("spikellm", {"published": True}, 4),
    ("spikellm", {"keys_and_values": False, "weight_bits": 8}, 1),
    ("phase", {}, 8),
    ("phase", {"outliers": False}, 4),
    ("phase", {"published": True}, 12),
]
NAMES = [f"{name}-{steps}-{'-'.join(options)}" for name, options, steps in CASES]


def compiled(
    save_model: Callable[..., Path], family: str, case: tuple[str, dict[str, Any], int]
) -> Netlist:
    name, options, steps = case
    _, graph = convert(save_model(family), system=find(name, {"steps": steps, **options}))
    return build(graph)


@pytest.mark.parametrize("case", CASES, ids=NAMES)
@pytest.mark.parametrize("family", ["llama", "bert"])
def test_every_spike_and_every_count(
    save_model: Callable[..., Path], family: str, case: tuple[str, dict[str, Any], int]
) -> None:
    net = compiled(save_model, family, case)
    same_in_both(net, TOKENS)
    fires = any(population.kind == "fire" for population in net.populations.values())
    assert fires == (case[0] != "sdllm" or case[1].get("train", "bitwise") != "bitwise")


def test_systems_and_kinds_are_all_tried() -> None:
    elsewhere = {"las", "fas", "spikelm"}  # files of their own
    assert {name for name, _, _ in CASES} == set(names()) - elsewhere
    assert "fire" in KINDS


def rounded(graph: Graph) -> Graph:
    """In floating point: neurons that fire, weights as their few bits hold them."""

    def held(node: Node) -> Node:
        if node.op == "encode" and isinstance(node["code"], Firing):
            return node.with_attributes(trained=node["code"].steps)
        if node.op != "linear":
            return node
        exact = node.weights["weight"].load().astype(np.float64)
        value = quantize(exact, bits=node["weight_bits"]).value()
        weight = Tensor.of("few bits", value.astype(np.float32))
        return replace(node, weights={**node.weights, "weight": weight})

    return graph.mapped(held)


@pytest.mark.parametrize(
    ("name", "options", "steps"),
    [
        ("sdllm", {"k": 32, "train": "graded"}, 63),
        ("sdllm", {"k": 32, "train": "twos_complement", "per_token": True}, 63),
        ("phase", {}, 12),
        ("spikellm", {"bits": 7, "weight_bits": 8, "keys_and_values": False}, 4),
    ],
)
def test_outputs_follow_the_float_neurons(
    save_model: Callable[..., Path], name: str, options: dict[str, Any], steps: int
) -> None:
    """A few percent of the spread, in the median: a last bit decides a spike here and there."""
    _, graph = convert(save_model("opt"), system=find(name, {"steps": steps, **options}))
    net, tokens = build(graph), TOKENS[None]
    found = Engine(net).run(tokens).double() * net.populations[net.output].unit
    wanted, exact = (final(one, tokens).double() for one in (rounded(graph), graph))
    error, whole = (float((found - one).abs().median() / one.std()) for one in (wanted, exact))
    assert error < 0.05
    assert error < whole


def test_a_netlist_keeps_its_neurons(save_model: Callable[..., Path], tmp_path: Path) -> None:
    net = compile(save_model("llama"), system="spikellm", system_options={"bits": 3}, steps=4)
    save(net, tmp_path / "net.h5")
    kept = load(tmp_path / "net.h5")
    assert kept.provenance["options"]["system_options"] == {"bits": 3}
    assert kept.provenance["options"]["steps"] == 4
    found = [Engine(one).run(TOKENS[None]) for one in (net, kept)]
    assert bool((found[0] == found[1]).all())


def test_weights_have_the_bits_asked_for(save_model: Callable[..., Path]) -> None:
    net = compile(save_model("llama"), system="spikellm", system_options={"weight_bits": 4})
    largest = {
        group.target: int(np.abs(group.form.weights.load()).max())  # type: ignore[union-attr]
        for group in net.synapses
        if hasattr(group.form, "weights")
    }
    head = largest.pop(net.output)
    assert set(largest.values()) == {7}
    assert head == 127
    widths = {
        group.target: group.form.bits for group in net.synapses if isinstance(group.form, Dense)
    }
    assert widths == {name: 4 for name in largest} | {net.output: 8}
    rows = {row["of"]: row["groups"] for row in contents(net, 0, 0)["synapses"]}
    assert (rows["dense 4-bit"], rows["dense"]) == (len(largest), 1)


def test_a_plan_counts_the_bits_that_a_netlist_has(save_model: Callable[..., Path]) -> None:
    options = Options(system="spikellm", system_options={"weight_bits": 3})
    net = compile(save_model("llama"), options)
    lowered = planned(save_model("llama") / "config.json", options)
    assert weight_widths(lowered) == weight_widths(net)
    assert sorted(weight_widths(net)) == [3, 8]


@pytest.mark.parametrize(
    ("name", "options", "fault"),
    [
        ("snn", {}, "not known"),
        ("sdllm", {"k": 0}, "k = 0: "),
        ("sdllm", {"kay": 3}, "kay"),
        ("sdllm", {"train": "morse"}, "train"),
        ("spikellm", {"bits": "four"}, "bits"),
    ],
)
def test_wrong_options_are_named(name: str, options: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        find(name, options)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"system": "spikellm", "steps": 3}, "1, 2 or 4"),
        ({"system": "sdllm", "code": "graded"}, "LAS's"),
        ({"system": "sdllm", "steps": 64}, "less than or equal to 63"),
        ({"system": "phase", "error_budget": 0.1}, "error budget"),
        ({"system": "phase", "steps": 17}, "less than or equal to 16"),
        ({"system": "fas"}, "las-finetune"),
    ],
)
def test_what_a_system_cannot_do(
    save_model: Callable[..., Path], options: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ConfigError, match=fault):
        compile(save_model("llama"), **options)


def test_each_system_says_what_it_is() -> None:
    assert len(names()) >= 6
    for name in names():
        about = system_class(name).__doc__
        assert "arXiv" in about or "ICLR" in about

"""SpikeLLM's keys and values: the paper's scores, and fewer bits for ordinary channels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compiler.convert import convert, plan_graph
from compiler.netlist.wiring import Wiring
from compiler.pipeline import build
from hwsim.backends.fast.engine import Engine
from las_neuro.calibration.ranges import calibrate
from las_neuro.graph import Graph
from las_neuro.reference.interpret import interpret
from las_neuro.systems.spikellm import SpikeLlm, memory_site

SaveModel = Callable[..., Path]
LAYER = "layers.0.self_attn."
SALIENT = {2: 0.10, 4: 0.05}  # steps -> share of the channels, as published


@pytest.fixture
def seen(save_model: SaveModel, tokens: np.ndarray) -> Graph:
    """A calibrated model of two key-value heads, each with two query heads, one sequence seen."""
    folder = save_model("llama", num_key_value_heads=2)
    return calibrate(convert(folder, system=SpikeLlm())[1], [tokens[:1]])


def score(graph: Graph, part: str) -> np.ndarray:
    _, found = memory_site(graph, graph.readers(), graph[LAYER + part])
    return found.reshape(2, -1)


def test_scores_are_the_paper_s(seen: Graph, tokens: np.ndarray) -> None:
    """The mean of x * (A^T A x): of keys by queries, of values by softmax weights."""
    found = {node.name: value.double().numpy() for node, value in interpret(seen, tokens[:1])}
    q = found[seen[LAYER + "scores"].inputs[1]].reshape(20, 2, 2, 6)
    p = (found[LAYER + "weights"] / found[LAYER + "total"][..., None])[0].reshape(20, 2, 2, -1)
    keys, values = (found[LAYER + part][0] for part in ("keys", "values"))
    of_keys, of_values = np.zeros((2, 6)), np.zeros((2, 6))
    for head in range(2):
        for query in range(2):  # that share the head's keys and values
            k, v, qs, ps = keys[:, head], values[:, head], q[:, head, query], p[:, head, query]
            of_keys[head] += (k * ((qs.T @ qs) @ k.T).T).mean(axis=0)
            of_values[head] += (v * ((ps.T @ ps) @ v)).mean(axis=0)
    np.testing.assert_allclose(score(seen, "keys"), of_keys, rtol=1e-4)
    np.testing.assert_allclose(score(seen, "values"), of_values, rtol=1e-4)


@pytest.mark.parametrize("steps", [2, 4])
def test_salient_channels_have_more_bits(seen: Graph, steps: int) -> None:
    method = SpikeLlm(steps=steps)
    coded = method.threshold(seen)
    for part in ("keys", "values"):
        memory = coded[LAYER + part]
        wide = memory["lift"] == 0
        assert set(memory["lift"]) == {0, method.add_bits}
        assert wide.sum() == np.ceil(SALIENT[steps] * wide.size)
        flat = score(seen, part).reshape(-1)
        assert flat[wide].min() > flat[~wide].max()
        assert memory["bits"] == 4 + method.add_bits


@pytest.mark.parametrize("family", ["llama", "bert"])
def test_what_is_stored_has_the_bits_of_its_channel(save_model: SaveModel, family: str) -> None:
    """15 values of 4 bits in an ordinary channel, in steps of 4; 63 of 6 bits in a salient one."""
    _, graph = convert(save_model(family), system=SpikeLlm(steps=4))
    net = build(graph)
    written: dict[str, np.ndarray] = {}

    def watch(population: object, train: object, start: int) -> None:
        if population.name.endswith((".keys", ".values")):  # type: ignore[attr-defined]
            written[population.name] = train.payloads[0].numpy()  # type: ignore[attr-defined]

    Engine(net, on_train=watch).run(np.random.default_rng(0).integers(2, 61, (4, 16)))
    assert len(written) == 4  # two layers
    for name, values in written.items():
        lift = net.populations[name].params["lift"]
        flat = values.reshape(-1, lift.size)
        assert {0, 2} == set(lift)
        assert (flat[:, lift == 2] % 4 == 0).all()
        assert np.abs(flat[:, lift == 2]).max() <= 7 << 2
        assert np.abs(flat).max() <= 31
        assert (flat[:, lift == 0] % 4 != 0).any()
        assert [form.limit for form in Wiring(net).writes(name)] == [31]


def test_one_step_is_the_plain_quantised_model(seen: Graph) -> None:
    memory = SpikeLlm(steps=1).threshold(seen)[LAYER + "keys"]
    assert memory["bits"] == 4
    assert not memory["lift"].any()


def test_a_plan_has_the_populations_of_a_netlist(save_model: SaveModel) -> None:
    folder = save_model("llama")
    planned = build(plan_graph(folder / "config.json", system=SpikeLlm()), weights=False)
    net = build(convert(folder, system=SpikeLlm())[1])
    kinds = {
        name: p.kind for name, p in net.populations.items() if name.endswith((".keys", ".values"))
    }
    assert set(kinds.values()) == {"fire"}
    assert kinds == {name: planned.populations[name].kind for name in kinds}

"""Clips and scales learned block by block, for weights and activations of few bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compiler.convert import calibrated
from compiler.weights.quantize import quantize
from las_neuro.graph import Graph, Node, Tensor
from las_neuro.reference.interpret import final
from las_neuro.systems import find
from las_neuro.training import omniquant

SaveModel = Callable[..., Path]
BITS = 3


def asked(graph: Graph) -> Graph:
    """Every map but the head to be learned for activations of 4 bits."""

    def learning(node: Node) -> Node:
        if "weight_bits" not in node.attributes:
            return node
        return node.with_attributes(weight_bits=BITS, learned_bits=4)

    return graph.mapped(learning)


def few_bits(graph: Graph) -> Graph:
    """Weights as they will be held, in floating point."""

    def held(node: Node) -> Node:
        if node.op != "linear" or node["clip"] is None:
            return node
        wide = graph[node.inputs[0]]["spread"]
        exact = node.weights["weight"].load().astype(np.float64) * wide
        value = quantize(exact, bits=BITS, clip=node["clip"]).value() / wide
        weight = Tensor.of("few bits", value.astype(np.float32))
        return replace(node, weights={**node.weights, "weight": weight})

    return graph.mapped(held)


@pytest.mark.parametrize("family", ["llama", "opt"])
def test_learning_brings_the_output_nearer(
    save_model: SaveModel, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = calibrated(save_model(family), system=find("spikellm"))
    graph = asked(found.graph)
    learned = omniquant.learn(graph, found.batches)
    monkeypatch.setattr(omniquant, "EPOCHS", 0)
    start = omniquant.learn(graph, found.batches)
    exact = final(graph, found.batches[0])
    errors = [
        float((final(few_bits(one), found.batches[0]) - exact).square().mean())
        for one in (learned, start)
    ]
    assert errors[0] < 0.9 * errors[1]


@pytest.mark.slow
def test_what_it_leaves_on_the_nodes(save_model: SaveModel) -> None:
    found = calibrated(save_model("llama"), system=find("spikellm"))
    graph = asked(found.graph)
    told: list[tuple[str, int, int]] = []
    learned = omniquant.learn(graph, found.batches, lambda *step: told.append(step))
    maps = [node for node in learned if "learned_bits" in node.attributes]
    assert len(maps) == 2 * 7
    for node in maps:
        clip, spread = node["clip"], learned[node.inputs[0]]["spread"]
        assert clip.shape == (node.size,)
        assert ((clip > 0) & (clip < 1)).all()
        assert spread.shape == (learned[node.inputs[0]].size,)
        assert (spread > 0).all()
    assert told[-1] == ("learn clips and scales", 4, 4)  # inputs, two layers, head


def test_nothing_is_learned_where_nothing_asks_for_it(save_model: SaveModel) -> None:
    found = calibrated(save_model("llama"))
    assert omniquant.learn(found.graph, found.batches) is found.graph

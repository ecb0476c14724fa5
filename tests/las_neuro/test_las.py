"""LAS: structure of the drawing, and its thresholds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compiler import plan_graph
from las_neuro import Checkpoint
from las_neuro.architectures import draw
from las_neuro.graph import Graph
from las_neuro.systems.las import Las, half_turn, spiking


@pytest.fixture
def graph(plan: Callable[..., Path]) -> Graph:
    return spiking(draw(Checkpoint.from_config(plan("llama", num_key_value_heads=2))))


def test_one_encoder_serves_all_readers(graph: Graph) -> None:
    readers = graph.readers()["layers.1.input_layernorm.spikes"]
    assert readers == [f"layers.1.self_attn.{part}_proj" for part in "qkv"]


def test_positions_are_drawn_once(graph: Graph) -> None:
    positions = [node.name for node in graph if node.attributes.get("source") == "position"]
    assert positions == ["rotary.cos", "rotary.sin"]
    assert graph["rotary.cos"].layer == -1


def test_layers_are_carried_over(graph: Graph) -> None:
    assert graph["embed_tokens"].layer == -1
    assert graph["layers.1.self_attn.scores"].layer == 1
    assert graph["output"].layer == 2


def test_attention_axes(graph: Graph) -> None:
    name = "layers.0.self_attn"
    assert graph[f"{name}.keys"].axes == {"h": 4, "j": 20, "d": 6}
    assert graph[f"{name}.keys"]["groups"] == 2
    assert graph[f"{name}.scores"].axes == {"h": 4, "j": 20}
    assert graph[f"{name}.total"].axes == {"h": 4}
    assert graph[name].axes == {"c": 24}


def test_half_turn_leaves_what_is_past_the_rotated_part() -> None:
    index, sign = half_turn(heads=2, size=6, rotated=4)
    x = np.arange(12)
    expected = [-2, -3, 0, 1, 4, 5, -8, -9, 6, 7, 10, 11]
    np.testing.assert_array_equal(x[index] * sign, expected)


def test_a_plan_has_codes(plan: Callable[..., Path]) -> None:
    graph = plan_graph(plan("opt"), context=8, system=Las(steps=9))
    codes = [node["code"] for node in graph if node.op == "encode"]
    assert len(codes) == 13  # six a layer (x, q, weights, mixed, fc1, fc2), and the head
    assert {(code.digits, code.theta) for code in codes} == {(9, 1.0)}


def test_opt_66b_is_planned_without_weights(plan: Callable[..., Path]) -> None:
    sizes = {"hidden_size": 9216, "num_attention_heads": 72, "num_hidden_layers": 64}
    words = {"vocab_size": 50272, "max_position_embeddings": 2048, "ffn_dim": 36864}
    graph = plan_graph(plan("opt", **sizes, **words))
    weights = {t.name: int(np.prod(t.shape)) for node in graph for t in node.weights.values()}
    assert sum(weights.values()) == pytest.approx(66e9, rel=0.01)

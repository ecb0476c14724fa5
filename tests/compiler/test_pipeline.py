"""The table of passes: its order fits what each pass declares, and every pass can be seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compiler import compile, convert
from compiler.dump import dump
from compiler.lowering.network import LoweredNetwork, LoweredPopulation, Scaling
from compiler.passes.contract import LEVELS, Pass
from compiler.pipeline import NAMES, PASSES, run, verify
from compiler.task import Task
from compiler.timing import Timing
from las_neuro.graph import Graph, Tensor

FOLDER = Path(__file__).parents[2] / "compiler" / "passes"


@pytest.fixture
def seen(save_model: Callable[..., Path]) -> dict[str, tuple[str, Timing | None]]:
    """Pass -> its dump and what it took, of one compilation."""
    dumps: dict[str, tuple[str, Timing | None]] = {}

    def watch(one: Pass, network: Any, timing: Timing | None) -> None:
        dumps[one.name] = dump(network), timing

    compile(save_model("llama"), watch=watch)
    return dumps


def test_every_file_of_the_folder_is_a_pass_of_the_table() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "contract"}
    assert files == set(NAMES)
    assert len(NAMES) == len(set(NAMES)) > 15
    for one in PASSES:
        assert one.run.__module__ == f"compiler.passes.{one.name}"
        assert one.summary


def test_each_pass_finds_what_it_needs() -> None:
    facts: set[str] = set()
    level = "none"
    for one in PASSES:
        assert one.level in LEVELS
        assert one.result in LEVELS
        assert one.level == level, one.name
        assert set(one.needs) <= facts, one.name
        assert one.leaves, one.name
        facts |= set(one.leaves)
        level = one.result
    assert level == "netlist"


def test_every_pass_is_seen_in_order(seen: dict[str, tuple[str, Timing | None]]) -> None:
    assert tuple(seen) == NAMES
    left_out = {name for name, (_, timing) in seen.items() if timing is None}
    assert left_out == {"use_tables", "choose_precision", "check_kinds"}
    for name, (text, timing) in seen.items():
        assert text.endswith("\n"), name
        assert timing is None or (timing.seconds >= 0 and timing.peak_bytes > 1 << 20), name


def test_a_dump_names_every_array_by_shape_and_digest(
    save_model: Callable[..., Path], seen: dict[str, tuple[str, Timing | None]]
) -> None:
    assert "weight float32[24, 24] " in seen["draw"][0]
    assert "rounded=[int8[24, 24] " in seen["round_weights"][0]
    assert "dense 8 bits int8[24, 24] " in seen["lower"][0]
    assert "factor float64[24] " in seen["lower"][0]
    assert "multiplier=int64[24] " in seen["fold_scales"][0]
    assert "tile  " in seen["place"][0]
    checkpoint, graph = convert(save_model("llama"))
    name = "layers.0.mlp.down_proj"
    tensor = graph[name].weights["weight"]
    changed = tensor.load().copy()
    changed[0, 0] += 1
    other = graph.empty_like()
    other.nodes = dict(graph.nodes)
    other.nodes[name] = type(graph[name])(
        **{**vars(graph[name]), "weights": {"weight": Tensor.of("w", changed)}}
    )
    lines = [(a, b) for a, b in zip(dump(graph).split("\n"), dump(other).split("\n"), strict=True)]
    assert [a.split()[0] for a, b in lines if a != b] == [name]
    assert checkpoint.folder.is_dir()


def test_a_pass_runs_alone_on_what_the_one_before_left(save_model: Callable[..., Path]) -> None:
    _, graph = convert(save_model("opt"))
    phased = run(Task(), graph, first="split_phases", until="split_phases")
    lowered = run(Task(), phased, first="lower", until="fold_scales")
    whole = run(Task(), graph, first="split_phases", until="fold_scales")
    assert dump(lowered) == dump(whole)


def test_what_a_plan_skips_reads_weights(plan: Callable[..., Path]) -> None:
    reading = {one.name for one in PASSES if one.reads_weights}
    assert {"calibrate", "round_weights", "prove_widths", "fold_scales"} <= reading


def test_a_lowered_network_holds_real_numbers_in_its_scaling_alone() -> None:
    net = LoweredNetwork("test", True, 8, 8, "p", "hidden")
    params = {"low": 0, "high": 1, "gated": 0}
    net.populations["p"] = LoweredPopulation(
        "p", "integrate", {"c": 2}, params, scaling=Scaling(np.array([0.5, 0.25]))
    )
    verify(net, "lowered")
    for wrong in (0.5, np.array([0.5]), (1, 0.5), "1"):
        net.update("p", params={**params, "low": wrong})
        with pytest.raises(ValueError, match=r"low is .*, not integers"):
            verify(net, "lowered")
    net.update("p", params={**params, "lowest": 1})
    with pytest.raises(ValueError, match=r"declares no \['lowest'\]"):
        verify(net, "lowered")


def test_a_graph_is_verified_after_each_pass(plan: Callable[..., Path], monkeypatch: Any) -> None:
    """A pass that leaves an operator of another level is caught by the driver."""
    broken = Pass(lambda graph, task: graph, "model", "spiking", leaves=("encoders",))
    monkeypatch.setattr("compiler.pipeline.PASSES", (PASSES[0], broken))
    monkeypatch.setattr("compiler.pipeline.NAMES", ("draw", "broken"))
    from las_neuro.checkpoint import Checkpoint

    task = Task(Checkpoint.from_config(plan("llama")), weights=False)
    with pytest.raises(ValueError, match="embed"):
        run(task, first="draw", until="broken")
    assert isinstance(run(task, first="draw", until="draw"), Graph)

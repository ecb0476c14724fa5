"""docs/netlist.md is enough to run a netlist: an executor written from it gives the same spikes."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import independent_executor
import independent_kinds
import numpy as np
import pytest
import trained_models
from independent_executor import Executor
from independent_kinds import Population

from compiler import compile
from compiler.netlist.hdf5 import load, save
from compiler.netlist.kinds import KINDS
from hwsim.backends.step.stepper import Stepper

OUTSIDE = {"hashlib", "json", "pathlib", "typing", "h5py", "numpy", "__future__"}
TOKENS = np.array([3, 60, 17, 17, 5, 9, 9])
SMALL = {"num_hidden_layers": 1}


@dataclass(frozen=True)
class Case:
    """A random model, how it is compiled, and what its netlist must have.

    kinds: of compartments, among others.  slices: of its written synapses.
    """

    family: str
    kinds: str
    fields: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    trained: Callable[[Path], Path] | None = None
    slices: frozenset[int] = frozenset({1, 2})


POWERS = [2.0**-t for t in range(1, 7)]
RELU = {"from": -8.0, "to": 8.0, **{key: [8 * p for p in POWERS] for key in ("theta", "h", "d")}}
WAITING = frozenset({1, 2, 3})  # an encoder's streams wait in 3 slices
SHORT = frozenset({1})  # keys and values of few bits
CASES = {
    "llama-binary": Case(
        "llama", "antilog any compete encode input integrate octave pointer product segment"
    ),
    "mistral-graded-window": Case(
        "mistral",
        "encode pointer",
        {"sliding_window": 4, "num_key_value_heads": 2},
        {"code": "graded"},
    ),
    "opt-signed-digit": Case(
        "opt",
        "encode",
        {},
        {"code": "signed-digit", "weight_planes": 2},
        slices=frozenset({1, 3}),
    ),
    "gpt2-channel-steps": Case("gpt2", "encode", {}, {"channel_steps": True, "steps": 6}),
    "gpt2-tables": Case("gpt2", "few_spikes", {}, {"tables": "gelu_tanh"}),
    "bert-binary": Case("bert", "encode", slices=WAITING),
    "vit-classifier": Case("vit-classifier", "encode", slices=WAITING),
    "llama-sdllm": Case("llama", "fire", {}, {"system": "sdllm", "steps": 15}),
    "bert-sdllm": Case(
        "bert",
        "fire",
        {},
        {"system": "sdllm", "system_options": {"train": "ternary"}},
        slices=WAITING,
    ),
    "opt-spikellm": Case("opt", "fire", {}, {"system": "spikellm", "steps": 2}, slices=SHORT),
    "gpt2-phase": Case("gpt2", "fire", {}, {"system": "phase"}),
    "gpt2-spikelm": Case(
        "gpt2", "fire leak", {}, {"system": "spikelm"}, trained_models.spikelm, SHORT
    ),
}


def compiled(case: Case, save_model: Callable[..., Path], tmp_path: Path) -> Path:
    """The file of a case's netlist."""
    folder = save_model(case.family, **SMALL | case.fields)
    if case.trained:
        folder = case.trained(folder)
    options = dict(case.options)
    if not case.family.startswith("vit"):
        options["calibrate"] = tmp_path / "tokens.npy"
        np.save(options["calibrate"], np.random.default_rng(3).integers(2, 61, (2, 20)))
    if "tables" in options:
        path = tmp_path / "tables.json"
        path.write_text(json.dumps({options["tables"]: [RELU]}))
        options["tables"] = path
    path = tmp_path / "net.h5"
    save(compile(folder, **options), path)
    return path


def test_the_executor_imports_nothing_of_the_project() -> None:
    modules = (independent_executor, independent_kinds)
    trees = [ast.parse(Path(str(module.__file__)).read_text("utf-8")) for module in modules]
    imported = {
        name.split(".")[0]
        for tree in trees
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported == OUTSIDE | {"independent_kinds"}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_spike_count_and_output_is_the_engine_s(
    case: Case, save_model: Callable[..., Path], tmp_path: Path
) -> None:
    netlist = compiled(case, save_model, tmp_path)
    net = load(netlist)
    tokens: Any = TOKENS
    if net.pixels:
        tokens = np.random.default_rng(2).normal(size=(net.context, net.pixels)).astype(np.float32)
    spikes: dict[tuple[str, int, int], Any] = {}

    def sent(name: str, token: int, step: int, payload: Any) -> None:
        if payload.any():
            spikes[name, token, step] = payload

    engine, executor = Stepper(net, on_spike=sent), Executor(netlist)
    outputs = engine.run(tokens)
    np.testing.assert_array_equal(executor.run(tokens), outputs)
    assert outputs.any()
    assert executor.sent.keys() == spikes.keys()
    for at, payload in spikes.items():
        np.testing.assert_array_equal(executor.sent[at], payload, str(at))
    for name, mine in executor.populations.items():
        theirs = engine.counters.populations[name]
        np.testing.assert_array_equal(mine.spikes, theirs.spikes, name)
        assert (mine.clamps, mine.wraps) == (theirs.clamps, theirs.wraps), name
        assert executor.updates(name) == (theirs.updates, theirs.idle), name
    assert executor.events() == [engine.counters.events(net, group) for group in net.synapses]
    assert {one.kind for one in executor.populations.values()} >= set(case.kinds.split())
    written = [group for group in executor.groups if "pointer" in group.form]
    assert {group.slices() for group in written} == case.slices
    assert all(group.content.any() for group in written)


def test_every_kind_of_the_executor_is_run() -> None:
    known = {kind for kind in KINDS if hasattr(Population, kind)}
    assert len(known) >= 13
    assert {kind for case in CASES.values() for kind in case.kinds.split()} == known

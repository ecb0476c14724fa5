"""Imported few-spikes tables: both conventions, on the chip as the paper's loop has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compiler import compile
from hwsim.backends.fast.engine import Engine
from hwsim.backends.step.stepper import Stepper
from las_neuro.errors import CalibrationError, ConfigError
from las_neuro.neurons.few_spikes import computed, read_tables

STEPS = 12
POWERS = [2.0**-t for t in range(1, STEPS + 1)]
# max(x, 0) below 8, coded as few-spikes neurons do: theta = h = d.
RELU = [{"from": -8.0, "to": 8.0, **{key: [8 * p for p in POWERS] for key in ("theta", "h", "d")}}]
FIRST = [{**RELU[0], "h": [99.0, *RELU[0]["h"][:-1]]}]  # the published order: h[0] is dead
TOKENS = np.array([3, 60, 17, 17, 5])


def write(path: Path, tables: Any) -> Path:
    path.write_text(json.dumps(tables))
    return path


def test_the_published_order_is_shifted_by_one(tmp_path: Path) -> None:
    ours = read_tables(write(tmp_path / "a.json", {"gelu": RELU}))["gelu"][0]
    first = read_tables(write(tmp_path / "b.json", {"gelu": FIRST}), subtract_first=True)["gelu"][0]
    assert first.theta == ours.theta
    assert first.d == ours.d
    assert first.h[:-1] == ours.h[:-1]  # the last is never used
    wrong = read_tables(tmp_path / "b.json")["gelu"][0]
    assert wrong.h[0] == 99.0


def by_the_paper(x: float, tables: dict[str, Any], subtract_first: bool) -> float:
    v, y, fired = x, 0.0, 0
    for t in range(STEPS):
        if subtract_first and t:
            v -= tables["h"][t] * fired
        fired = int(v > tables["theta"][t])
        y += fired * tables["d"][t]
        if not subtract_first:
            v -= tables["h"][t] * fired
    return y


@pytest.mark.parametrize("subtract_first", [False, True])
def test_a_function_by_tables(
    save_model: Callable[..., Path], tmp_path: Path, subtract_first: bool
) -> None:
    tables = FIRST if subtract_first else RELU
    path = write(tmp_path / "tables.json", {"gelu_tanh": tables})
    folder = save_model("gpt2")
    net = compile(folder, tables=path, subtract_first=subtract_first)
    (name, *_) = (p.name for p in net.populations.values() if p.kind == "few_spikes")
    population = net.populations[name]
    source = net.populations[next(group.source for group in net.into(name))]
    seen: dict[str, list[np.ndarray]] = {source.name: [], name: []}

    def spike(which: str, token: int, t: int, payload: np.ndarray) -> None:
        if which in seen:
            seen[which].append(payload)

    stepper, engine = Stepper(net, on_spike=spike), Engine(net)
    np.testing.assert_array_equal(engine.run(TOKENS[None])[0].numpy(), stepper.run(TOKENS))
    assert engine.counters.equals(stepper.counters) == []
    x = np.concatenate(seen[source.name]) * source.unit
    y = np.concatenate(seen[name]) * population.unit
    wanted = np.array([by_the_paper(value, tables[0], subtract_first) for value in x])
    last = 8 * POWERS[-1]  # a threshold's rounding may move a value by its last place
    assert np.abs(y - wanted).max() <= 1.01 * last + 2 * STEPS * population.unit
    assert np.abs(y).max() > 0


@pytest.mark.parametrize("x", [-9.0, -0.5, 0.0, 1e-4, 0.3, 7.99, 30.0])
def test_the_float_run_computes_the_same(tmp_path: Path, x: float) -> None:
    domains = read_tables(write(tmp_path / "a.json", {"gelu": RELU}))["gelu"]
    assert computed(domains, np.array([x]))[0] == by_the_paper(x, RELU[0], False)


def test_an_error_budget_counts_imported_tables(
    save_model: Callable[..., Path], tmp_path: Path
) -> None:
    """A table that is off by 0.05 breaks a budget that the function's own lines keep."""
    folder, budget = save_model("gpt2"), 1e-2
    own = compile(folder, error_budget=budget)
    assert own.provenance["error_budget"]["measured"] <= budget
    path = write(tmp_path / "tables.json", {"gelu_tanh": RELU})
    with pytest.raises(CalibrationError, match="the finest tried gives"):
        compile(folder, tables=path, error_budget=budget)
    net = compile(folder, tables=path, error_budget=10.0)
    assert {p.kind for p in net.populations.values()} >= {"few_spikes"}
    assert net.provenance["error_budget"]["measured"] > budget


@pytest.mark.parametrize(
    ("tables", "fault"),
    [
        ({}, "no function"),
        ({"relu": RELU}, "takes no tables"),
        ({"gelu": []}, "sub-domains"),
        ({"gelu": [{"from": 0}]}, "theta"),
        ({"gelu": [{**RELU[0], "d": [1.0]}]}, "steps"),
        ({"gelu": [{**RELU[0], "h": [float("nan")] * STEPS}]}, "finite"),
        ({"gelu": [RELU[0], RELU[0]]}, "order"),
    ],
)
def test_faulty_tables_are_named(tmp_path: Path, tables: Any, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        read_tables(write(tmp_path / "t.json", tables))


def test_tables_of_another_model_are_refused(
    save_model: Callable[..., Path], tmp_path: Path
) -> None:
    path = write(tmp_path / "t.json", {"tanh": RELU})
    with pytest.raises(ConfigError, match="no table is of"):
        compile(save_model("gpt2"), tables=path)


def test_tables_with_an_error_budget(save_model: Callable[..., Path], tmp_path: Path) -> None:
    """What the netlist says it was made of is what is in it."""
    path = write(tmp_path / "tables.json", {"gelu_tanh": RELU})
    net = compile(save_model("gpt2"), tables=path, error_budget=10.0)
    assert "tables" in net.provenance["inputs"]
    assert "few_spikes" in {population.kind for population in net.populations.values()}

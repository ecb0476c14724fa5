"""The value of every node read off the spikes, beside the float graph and beside another netlist.

The float graph's own values are the measure: node by node they must come back from the netlist in
every family's layout (grouped heads, slots, phases), from whichever engine.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compiler.convert import convert
from compiler.netlist.model import Dense, InMemory, Netlist
from compiler.pipeline import build
from hwsim.accounts.depth_error import DepthComparison, NodeError, first_over
from hwsim.accounts.depth_page import render_depth
from hwsim.backends.fast import engine
from hwsim.measure.depth import against_model, between_models, between_netlists
from hwsim.measure.first_spike import spikes_beside, unlike
from hwsim.measure.readings import Reading, open_readings, softmax_degrees
from las_neuro.errors import ConfigError
from las_neuro.graph import Graph
from las_neuro.neurons.codes import FORMS
from las_neuro.reference.interpret import interpret
from las_neuro.systems import find

CASES: dict[str, dict[str, Any]] = {
    "llama": {"num_key_value_heads": 2, "tie_word_embeddings": False},
    "gpt2": {},
    "bert": {},
}
ALL = 1.0  # a relative error that no comparison of these models may come near
Save = Callable[..., Path]


def compiled(
    save_model: Save, family: str, steps: int = 16, code: str = "binary"
) -> tuple[Netlist, Graph]:
    _, graph = convert(
        save_model(family, **CASES[family]), system=find("las", {"steps": steps, "code": code})
    )
    return build(graph), graph


def changed(net: Netlist, target: str, change: Callable[[np.ndarray], np.ndarray]) -> Netlist:
    """The netlist with other weights into one population."""
    groups = [
        replace(group, form=Dense(InMemory(change(group.form.weights.load().copy()))))
        if group.target == target and isinstance(group.form, Dense)
        else group
        for group in net.synapses
    ]
    return replace(net, synapses=groups)


def comparable(net: Netlist, tokens: np.ndarray, backend: str) -> dict[str, torch.Tensor]:
    """Every node's value [B, S, ...], copies of later phases under their own name."""
    found: dict[str, torch.Tensor] = {}

    def take(reading: Reading) -> None:
        assert reading.start == 0
        found[reading.node + "@" * reading.repeated] = reading.comparable

    open_readings(net, backend, take).feed(tokens)
    return found


@pytest.mark.parametrize("family", CASES)
def test_every_node_is_read_and_near_the_float_graph(
    save_model: Save, tokens: np.ndarray, family: str
) -> None:
    net, graph = compiled(save_model, family)
    rows = against_model(net, graph, [tokens[:2], tokens[2:]])
    summed_with_eps = {node.inputs[0] for node in graph if node.op == "offset"}
    absent = {n.name for n in graph if n.op in ("affine", "turn")} - set(net.populations)
    named = [node.name for node in graph if node.op not in ("view", "output")]
    named = [name for name in named if name not in summed_with_eps | absent]
    assert [row.node for row in rows] == named
    for row in rows:
        node = graph[row.node]
        assert row.added is not None
        # int8 weights are the coarsest of all operators: 1/256 of their range, in a random model
        assert row.added < (0.01 if node.op == "linear" else 0.004), row.node
        assert row.carried < 0.5, row.node  # random weights multiply what was added
        assert (row.layer, row.op) == (node.layer, node.op)


@pytest.mark.parametrize("family", CASES)
def test_sums_are_the_errors_of_the_whole_values(
    save_model: Save, tokens: np.ndarray, family: str
) -> None:
    """The streamed figures against the plain formula on values held whole."""
    net, graph = compiled(save_model, family)
    rows = {row.node: row for row in against_model(net, graph, [tokens])}
    found = comparable(net, tokens, "fast")
    checked = 0
    for node, exact in interpret(graph, tokens):
        if node.name not in found or node.name + "@" in found or "j" in node.axes:
            continue
        wrong = found[node.name].reshape(exact.shape).double() - exact.double()
        size = exact.double()
        if not set(node.axes) <= {"h", "k"}:
            size = size - size.mean()
        assert rows[node.name].carried == pytest.approx(
            float(wrong.norm() / size.norm()), rel=1e-2, abs=1e-9
        ), node.name
        assert rows[node.name].largest == pytest.approx(float(wrong.abs().max()), rel=0.05)
        checked += 1
    assert checked > 40


@pytest.mark.parametrize("family", CASES)
def test_each_engine_gives_the_same_values(
    save_model: Save, tokens: np.ndarray, family: str
) -> None:
    net, _ = compiled(save_model, family)
    fast = comparable(net, tokens[:1, :7], "fast")
    plain = comparable(net, tokens[:1, :7], "step")
    assert set(fast) == set(plain)
    assert all(torch.equal(fast[name], plain[name]) for name in fast)
    assert any(name.endswith("@") for name in fast) == (not net.causal)
    rows, parting = between_netlists((net, net), [tokens], ("fast", "step"))
    assert parting is None
    assert {row.carried for row in rows} == {0.0}


def test_a_node_held_in_parts_is_added_where_it_is_read(
    save_model: Save, tokens: np.ndarray
) -> None:
    """As if each square were two populations that only its reader puts together."""
    net, graph = compiled(save_model, "gpt2")
    roles = {n: "part" if n.endswith(".square") else p.role for n, p in net.populations.items()}
    parts = {n: replace(p, role=roles[n]) for n, p in net.populations.items()}
    split = replace(net, populations=parts)
    whole = {row.node: row for row in against_model(net, graph, [tokens])}
    found = {row.node: row for row in against_model(split, graph, [tokens])}
    assert set(whole) - set(found) == {name for name in whole if name.endswith(".square")}
    assert len(whole) > len(found)
    for name, row in found.items():
        assert row.carried == pytest.approx(whole[name].carried, rel=1e-2, abs=1e-8)
        if not name.endswith(".variance"):
            assert row.added == pytest.approx(whole[name].added, rel=1e-2, abs=1e-6)


@pytest.mark.parametrize("window", [1, 5])
def test_rings_are_read_by_token(
    save_model: Save, tokens: np.ndarray, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    """Sliding windows: slots are used again, and mean another token then."""
    _, graph = convert(save_model("mistral", sliding_window=window, num_key_value_heads=2))
    net = build(graph)
    whole = against_model(net, graph, [tokens])
    assert max(row.added for row in whole if row.op in ("recall", "exponential")) < 0.01
    assert max(row.carried for row in whole) < 0.5
    seen = next(row for row in whole if row.op == "recall")
    assert seen.values == 3 * 4 * sum(min(window, i + 1) for i in range(20))
    plain = against_model(net, graph, [tokens], "step")
    monkeypatch.setattr(engine, "CHUNK", 7)
    for row, cut, step in zip(whole, against_model(net, graph, [tokens]), plain, strict=True):
        assert (row.values, row.node) == (cut.values, cut.node) == (step.values, step.node)
        assert cut.carried == pytest.approx(row.carried, rel=1e-2, abs=1e-8), row.node
        assert step.carried == pytest.approx(row.carried, rel=1e-2, abs=1e-8), row.node


@pytest.mark.parametrize("form", FORMS)
def test_every_spike_code_is_read(save_model: Save, tokens: np.ndarray, form: str) -> None:
    net, graph = compiled(save_model, "llama", steps=10, code=form)
    rows = against_model(net, graph, [tokens[:, :9]])
    added = [row.added for row in rows if row.op == "encode"]
    assert 0 < max(added) < 0.03
    plain = against_model(net, graph, [tokens[:, :9]], "step")
    assert [row.added for row in plain if row.op == "encode"] == pytest.approx(added, rel=1e-2)


def test_pieces_are_one_sequence(save_model: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine cuts long sequences: keys, positions and the slots seen go on."""
    folder = save_model("llama", **CASES["llama"], max_position_embeddings=80)
    _, graph = convert(folder)
    net = build(graph)
    tokens = np.random.default_rng(0).integers(2, 61, (2, 70))
    monkeypatch.setattr(engine, "CHUNK", 100)
    whole = against_model(net, graph, [tokens])
    monkeypatch.setattr(engine, "CHUNK", 9)
    for row, cut in zip(whole, against_model(net, graph, [tokens]), strict=True):
        assert (row.node, row.values) == (cut.node, cut.values)
        assert cut.carried == pytest.approx(row.carried, rel=1e-2, abs=1e-8), row.node
        assert cut.added == pytest.approx(row.added, rel=1e-2, abs=1e-6), row.node
    seen = next(row for row in whole if row.op == "recall")
    assert seen.values == 2 * 4 * (70 * 71 // 2)  # sequences, heads, slots up to each token's own


def test_a_softmax_s_free_reference_is_no_error(save_model: Save, tokens: np.ndarray) -> None:
    net, graph = compiled(save_model, "llama")
    degrees = {
        net.populations[name].node: power for name, (_, power) in softmax_degrees(net).items()
    }
    near = {name.rsplit(".", 1)[1]: power for name, power in degrees.items()}
    assert near == {"weights": 1, "spikes": 1, "total": 1, "mixed": 1, "inverse": -1}
    values = {}

    def take(reading: Reading) -> None:
        values[reading.node] = reading

    open_readings(net, "fast", take).feed(tokens)
    top = next(reading for name, reading in values.items() if name.endswith(".top"))
    above = top.value - top.comparable
    assert float(above.min()) >= 0
    assert 0.1 < float(above.max()) < 0.70  # an octave
    rows = {row.node: row.carried for row in against_model(net, graph, [tokens])}
    assert rows[top.node] < 0.02


@pytest.mark.parametrize("family", CASES)
def test_damaged_weights_are_the_first_over_budget_and_the_source(
    save_model: Save, tokens: np.ndarray, family: str
) -> None:
    net, graph = compiled(save_model, family)
    linear = [node.name for node in graph if node.op == "linear" and node.layer == 1][-2]
    sound = against_model(net, graph, [tokens])
    before = next(i for i, row in enumerate(sound) if row.node == linear)
    budget = 1.5 * max(row.carried for row in sound[: before + 1])
    spoiled = changed(net, linear, lambda weights: weights[::-1].copy())
    made = DepthComparison("a", "b", 60, 3, against_model(spoiled, graph, [tokens]), budget)
    assert made.over is not None
    assert made.over.node == linear
    assert made.source is not None
    assert made.source.node == linear
    assert made.source.added > 0.5
    for row, healthy in zip(made.rows, DepthComparison("a", "b", 60, 3, sound).rows, strict=True):
        if row.node != linear:  # what is carried on is not blamed on those who carry it
            assert row.added == pytest.approx(healthy.added, rel=1, abs=0.01), row.node


@pytest.mark.parametrize("family", CASES)
def test_one_weight_s_first_spike_is_named(
    save_model: Save, tokens: np.ndarray, family: str
) -> None:
    net, graph = compiled(save_model, family)
    name = [node.name for node in graph if node.op == "linear" and node.layer == 1][1]

    def flip(weights: np.ndarray) -> np.ndarray:
        weights[5, :] ^= 1
        return weights

    other = changed(net, name, flip)
    rows, parting = between_netlists((net, other), [tokens])
    assert parting is not None
    first = next(row for row in rows if row.carried)
    assert first.node == name
    made = spikes_beside((net, other), ("fast", "fast"), parting.T.tolist())
    assert made["why"] is None
    assert (made["difference"]["population"], made["difference"]["compartment"]) == (name, 5)
    assert made["difference"]["step"] == net.populations[name].sends[-1]


def test_a_late_difference_is_found_at_its_token(save_model: Save) -> None:
    """A table's row that only token 11 reads."""
    net, _ = compiled(save_model, "gpt2")
    table = next(table for table in net.tables if table.source == "token")
    rows = table.rows.load().copy()
    rows[7, 3] += 5000
    other = replace(
        net, tables=[replace(t, rows=InMemory(rows)) if t is table else t for t in net.tables]
    )
    tokens = np.array(
        [[3, 4, 5, 6] * 5, [3, 4, 5, 6, 3, 4, 5, 6, 3, 4, 5, 7, 3, 4, 5, 6, 3, 4, 5, 6]]
    )
    found, parting = between_netlists((net, other), [tokens])
    assert parting is not None
    np.testing.assert_array_equal(parting, tokens[1:, :12])
    made = spikes_beside((net, other), ("fast", "step"), parting.T.tolist())
    assert made["difference"] is not None
    assert (made["difference"]["population"], made["difference"]["compartment"]) == (
        table.population, 3,
    )  # fmt: skip
    assert made["difference"]["token"] == 11
    assert found[0].carried > 0


def test_netlists_of_other_options_are_compared_by_node(
    save_model: Save, tokens: np.ndarray
) -> None:
    net, graph = compiled(save_model, "llama")
    short, _ = compiled(save_model, "llama", steps=8)
    assert unlike(net, net) is None
    why = unlike(net, short)
    assert why is not None
    assert "has other time steps" in why
    assert spikes_beside((net, short), ("fast", "fast"), [[3]])["why"] == why
    rows, _ = between_netlists((net, short), [tokens])
    assert [row.node for row in rows] == [row.node for row in against_model(net, graph, [tokens])]
    assert max(row.carried for row in rows) < ALL
    assert {row.added for row in rows} == {None}
    other, _ = compiled(save_model, "gpt2")
    assert "only in the first" in str(unlike(net, other))


def test_a_model_beside_itself_and_beside_another(save_model: Save, tokens: np.ndarray) -> None:
    _, graph = compiled(save_model, "llama")
    rows = between_models((graph, graph), [tokens])
    assert {row.carried for row in rows} == {0.0}
    assert len(rows) > 50
    _, other = compiled(save_model, "gpt2")
    with pytest.raises(ConfigError, match="drawn differently"):
        between_models((graph, other), [tokens])


def test_the_wrong_model_is_refused(save_model: Save, tokens: np.ndarray) -> None:
    net, _ = compiled(save_model, "llama")
    _, wide = convert(save_model("llama", **CASES["llama"], intermediate_size=56))
    with pytest.raises(ConfigError, match="values in the netlist"):
        against_model(net, wide, [tokens])
    _, other = compiled(save_model, "gpt2")
    with pytest.raises(ConfigError, match="not in the model's graph"):
        against_model(net, other, [tokens])


def test_what_an_error_is_measured_by() -> None:
    seen = torch.ones(1, 4, dtype=torch.bool)
    exact = torch.tensor([[10.0, 11.0, 10.0, 11.0]])
    many = NodeError("x", 0, "linear", single=False)
    many.add(exact + 0.1, exact, None, seen)
    assert many.carried == pytest.approx(0.2 / 1.0, rel=1e-5)
    one = NodeError("x", 0, "reduce", single=True)
    one.add(exact + 0.1, exact, None, seen)
    assert one.carried == pytest.approx(0.2 / float(exact.norm()), rel=1e-5)
    flat = NodeError("x", 0, "linear", single=False)  # no spread at all: its size
    flat.add(torch.full((1, 4), 2.0), torch.full((1, 4), 1.0), None, seen)
    assert flat.carried == pytest.approx(1.0)
    nothing = NodeError("x", 0, "linear", single=False)
    nothing.add(exact, exact * 0, None, seen)
    assert nothing.carried == float("inf")
    assert nothing.to_dict()["carried"] is None
    assert first_over([many, one], 0.1) is many
    assert first_over([many, one], 0.3) is None


# ---- the page


def page() -> DepthComparison:
    rows = []
    for i in range(40):
        row = NodeError(f"layers.{i // 20}.<b>{i}", i // 20, "linear" if i % 3 else "encode", False)
        error = 0.003 * (i + 1) ** 0.5 if i < 30 else 0.4
        exact = torch.tensor([[1.0, -1.0]])
        seen = torch.ones(1, 2, dtype=torch.bool)
        row.add(exact + error, exact, torch.full((1, 2), 1e-4 * (i % 7)), seen)
        row.clamps = 3 * (i == 33)
        rows.append(row)
    spikes = {"why": None, "tokens": 9, "spikes": 1234, "difference": None}
    return DepthComparison("<one> & co", "two.h5 on fast", 200, 3, rows, spikes=spikes)


def test_the_page_is_whole_escaped_and_asks_for_nothing() -> None:
    made = render_depth(page())
    assert made == render_depth(page())
    assert made.startswith("<!DOCTYPE html>")
    assert "&lt;one&gt; &amp; co" in made
    ours = re.sub(r"<script>.*?</script>", "", made, flags=re.DOTALL)
    assert "<one>" not in ours
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", ours)


BROWSER = next((found for name in ("chromium", "chromium-browser", "google-chrome", "chrome")
                if (found := shutil.which(name))), None)  # fmt: skip


@pytest.mark.skipif(BROWSER is None, reason="no browser found")
def test_the_page_opens_offline_with_its_figure_and_no_complaint(tmp_path: Path) -> None:
    assert BROWSER is not None
    path = tmp_path / "diff.html"
    path.write_text(render_depth(page()), "utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    flags += ["--enable-logging=stderr", "--virtual-time-budget=10000", "--dump-dom"]
    flags += [f"--user-data-dir={tmp_path / 'browser'}", "--host-resolver-rules=MAP * ~NOTFOUND"]
    done = subprocess.run(
        [BROWSER, *flags, path.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    assert re.search(r'id="along-depth".*?<svg class="main-svg"', done.stdout, re.DOTALL)
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", done.stdout))
    for said in ("first over the budget of 0.01", "carried to here", "added here", "budget 0.01"):
        assert said in words
    assert "clamps or wraps" in words

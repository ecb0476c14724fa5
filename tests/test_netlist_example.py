"""The worked example of docs/netlist.md: its file, its run and its counts are as the page says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from independent_executor import Executor
from pages import ROOT, blocks, section, tables

from compiler.netlist.hdf5 import load, save
from compiler.netlist.model import Dense, HostTable, InMemory, Netlist, Population, Synapses
from hwsim.backends.step.stepper import Stepper
from las_neuro.integers import wrap

EXAMPLE = section((ROOT / "docs/netlist.md").read_text("utf-8"), "## 11. Worked example")
(STRUCTURE,) = (json.loads(block.text) for block in blocks(EXAMPLE) if block.language == "json")
DATASETS, RUN, COUNTS = tables(EXAMPLE)
TOKENS = np.array([0, 1, 2])


@pytest.fixture
def netlist(tmp_path: Path) -> Path:
    """The example, built from numbers of its own and written by the project."""
    word = Population("word", "input", {"c": 2}, {}, (0,), (0,), unit=0.5, node="word")
    params = {
        "shift": (0,),
        "cut": (0,),
        "multiplier": np.array([3, 16384, 1]),
        "divide": np.array([1, 14, 1]),
        "bias": np.array([0, 10, 0]),
        "low": -100,
        "high": 100,
        "gated": 0,
        "safe": 0,
    }
    total = Population(
        "sum", "integrate", {"v": 3}, params, (1,), (1,), layer=0, unit=0.25, node="sum"
    )
    weights = np.array([[7, -8], [2, 1], [-1, 0]], np.int8)
    rows = np.array([[3, -5], [8388607, 0], [0, 0]], np.int32)
    net = Netlist("example", True, 4, 3, "sum", "logits", phases=((0, 2),))
    net.populations.update(word=word, sum=total)
    net.synapses.append(Synapses("word", "sum", "a", Dense(InMemory(weights), bits=4)))
    net.tables.append(HostTable("word", "token", 0, InMemory(rows)))
    save(net, tmp_path / "example.h5")
    return tmp_path / "example.h5"


def test_the_file_is_the_page_s(netlist: Path) -> None:
    with h5py.File(netlist, "r") as file:
        assert json.loads(file["structure"][()].tobytes()) == STRUCTURE
        places = {row["place"]: row for row in DATASETS}
        assert {"structure", *places} == set(_datasets(file))
        for place, row in places.items():
            assert file[place].dtype == row["type"]
            assert file[place][()].tolist() == json.loads(row["values"])


def _datasets(file: Any) -> list[str]:
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if hasattr(item, "dtype") else None)
    return names


def test_the_page_s_file_can_be_written_without_the_project(tmp_path: Path, netlist: Path) -> None:
    """From the page's own JSON and datasets, with h5py: the project reads it."""
    path = tmp_path / "by_hand.h5"
    with h5py.File(path, "w", userblock_size=512) as file:
        file.attrs["format"], file.attrs["version"] = "las_neuro netlist", 4
        file["structure"] = np.frombuffer(json.dumps(STRUCTURE).encode(), np.uint8)
        for row in DATASETS:
            file[row["place"]] = np.array(json.loads(row["values"]), row["type"])
    raw = path.read_bytes()
    line = f"las_neuro netlist 4 sha256 {hashlib.sha256(raw[512:]).hexdigest()}\n".encode()
    path.write_bytes(line + raw[len(line) :])
    np.testing.assert_array_equal(
        Stepper(load(path)).run(TOKENS), Stepper(load(netlist)).run(TOKENS)
    )


def test_every_step_is_the_page_s(netlist: Path) -> None:
    net = load(netlist)
    sent: dict[tuple[str, int, int], list[int]] = {}

    def note(name: str, token: int, step: int, payload: Any) -> None:
        sent[name, token, step] = payload.tolist()

    engine, executor = Stepper(net, on_spike=note), Executor(netlist)
    outputs = engine.run(TOKENS)
    np.testing.assert_array_equal(outputs, executor.run(TOKENS))
    for row in RUN:
        at = int(row["token"]), int(row["step"])
        for name in ("word", "sum"):
            said = row[f"sent by {name}"]
            assert sent.get((name, *at)) == (json.loads(said) if said else None)
    assert len(RUN) == len(sent) == 6


def test_every_intermediate_value_follows_from_the_ones_before() -> None:
    p = {key: value for key, value in STRUCTURE["populations"]["sum"]["params"].items()}
    multiplier, divide, bias = (np.array(p[k]["values"]) for k in ("multiplier", "divide", "bias"))
    weights = np.array([[7, -8], [2, 1], [-1, 0]])
    clamps = wraps = 0
    for before, row in zip(RUN[::2], RUN[1::2], strict=True):
        row_values = {key: np.array(json.loads(row[key])) for key in ("arrives at sum", "u", "y")}
        arrived = weights @ json.loads(before["sent by word"])
        np.testing.assert_array_equal(row_values["arrives at sum"], arrived)
        u, turns = wrap(arrived)
        assert (u.tolist(), turns.tolist()) == (json.loads(row["u"]), json.loads(row["turns"]))
        y = (u * multiplier + 2 ** (divide - 1)) // 2**divide + bias
        assert y.tolist() == json.loads(row["y"])
        assert np.clip(y, p["low"], p["high"]).tolist() == json.loads(row["sent by sum"])
        assert int(row["clamps"]) == np.count_nonzero((y < p["low"]) | (y > p["high"]))
        assert int(row["wraps"]) == np.count_nonzero(turns)
        clamps, wraps = clamps + int(row["clamps"]), wraps + int(row["wraps"])
    assert (clamps, wraps) == (2, 2)


def test_every_count_is_the_page_s(netlist: Path) -> None:
    net = load(netlist)
    engine = Stepper(net)
    outputs = engine.run(TOKENS)
    said = {row[""]: {name: json.loads(row[name]) for name in ("word", "sum")} for row in COUNTS}
    for name in ("word", "sum"):
        count = engine.counters.populations[name]
        assert {what: row[name] for what, row in said.items()} == {
            "spikes by compartment": count.spikes.tolist(),
            "synaptic events out of it": sum(
                engine.counters.events(net, group) for group in net.out_of(name)
            ),
            "updates": count.updates,
            "idle updates": count.idle,
            "clamps": count.clamps,
            "wraps": count.wraps,
        }
    assert "[23.0, 2.75, -0.25]" in EXAMPLE
    assert (outputs[0] * net.populations["sum"].unit).tolist() == [23.0, 2.75, -0.25]

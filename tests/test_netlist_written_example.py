"""The example of written synapses in docs/netlist.md: run and counts are as the page says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from independent_executor import Executor
from pages import ROOT, blocks, section, tables

from compiler.netlist.hdf5 import load, save
from compiler.netlist.model import (
    HostTable,
    InMemory,
    Netlist,
    Pattern,
    Population,
    Synapses,
    Written,
)
from hwsim.backends.fast.engine import Engine
from hwsim.backends.step.stepper import Stepper

PAGE = (ROOT / "docs/netlist.md").read_text("utf-8")
EXAMPLE = section(PAGE, "## 12. Worked example of written synapses")
(GROUPS,) = (json.loads(block.text) for block in blocks(EXAMPLE) if block.language == "json")
POPULATIONS, RUN = tables(EXAMPLE)
CONTENT = "content [j, d] after step 0"
TOKENS = np.array([0, 1, 2])
SUM = {
    "shift": (0,),
    "cut": (0,),
    "multiplier": np.array([1]),
    "divide": np.array([0]),
    "bias": np.array([0]),
    "low": -1000,
    "high": 1000,
    "gated": 0,
    "safe": 0,
}


@pytest.fixture
def netlist(tmp_path: Path) -> Path:
    """The example, built from numbers of its own and written by the project."""
    net = Netlist("example", True, 3, 3, "total", "hidden", phases=((0, 4),))
    net.populations.update(
        word=Population("word", "input", {"d": 2}, {}, (0,), (0,)),
        slot=Population("slot", "pointer", {"j": 2}, {"slots": 2}, (0,), (0,), role="control"),
        ask=Population("ask", "input", {"d": 2}, {}, (1,), (1,)),
        score=Population("score", "integrate", {"j": 2}, SUM, (2,), (2,)),
        total=Population("total", "integrate", {}, SUM, (3,), (3,)),
    )
    net.synapses.append(Synapses("ask", "score", "a", Written(("j", "d"), "word", "slot", 100)))
    net.synapses.append(Synapses("score", "total", "a", Pattern(("j",), ())))
    words = np.array([[3, -5], [0, 100], [-2, 0]], np.int32)
    net.tables.append(HostTable("word", "token", 0, InMemory(words)))
    net.tables.append(HostTable("ask", "type", 0, InMemory(np.array([[1, 2]], np.int32))))
    save(net, tmp_path / "example.h5")
    return tmp_path / "example.h5"


def test_the_structure_is_the_page_s(netlist: Path) -> None:
    with h5py.File(netlist, "r") as file:
        structure = json.loads(file["structure"][()].tobytes())
    assert structure["synapses"] == GROUPS
    written = {
        row["population"]: (
            row["kind"],
            *(json.loads(row[key]) for key in ("axes", "steps", "sends")),
        )
        for row in POPULATIONS
    }
    assert written == {
        name: tuple(population[key] for key in ("kind", "axes", "steps", "sends"))
        for name, population in structure["populations"].items()
    }


def test_every_payload_and_the_content_are_the_page_s(netlist: Path) -> None:
    sent: dict[tuple[str, int], list[int]] = {}

    def note(name: str, token: int, step: int, payload: Any) -> None:
        sent[name, token] = payload.tolist()

    engine = Stepper(load(netlist), on_spike=note)
    for token, row in enumerate(RUN):
        (output,) = engine.run(TOKENS[token : token + 1])
        assert engine.contents[0].array.tolist() == json.loads(row[CONTENT])
        assert output.tolist() == json.loads(row["sent by total"])
        for name in ("word", "slot", "ask", "score", "total"):
            assert sent[name, token] == json.loads(row[f"sent by {name}"])
    assert len(RUN) == len(TOKENS) == 3


def test_the_outputs_are_those_of_every_engine(netlist: Path) -> None:
    outputs = [json.loads(row["sent by total"]) for row in RUN]
    assert Executor(netlist).run(TOKENS).tolist() == outputs
    assert Engine(load(netlist)).run(TOKENS[None])[0].tolist() == outputs


def test_the_events_are_the_page_s(netlist: Path) -> None:
    net = load(netlist)
    engine, executor = Stepper(net), Executor(netlist)
    engine.run(TOKENS)
    executor.run(TOKENS)
    group = net.synapses[0]
    assert engine.counters.populations["ask"].spikes.tolist() == [3, 3]
    assert net.fan_out(group).tolist() == [4, 4]
    assert engine.counters.events(net, group) == executor.events()[0] == 24
    assert executor.writes() == [12]
    text = " ".join(EXAMPLE.split())
    assert "2 * 2 = 4 synaptic events: 24 for its 6 spikes" in text
    assert "writes 2 * 2 = 4 synapses, silent values too: 12 in all" in text


def test_a_second_sequence_starts_from_no_content(netlist: Path) -> None:
    executor, engine = Executor(netlist), Stepper(load(netlist))
    first = engine.run(TOKENS).tolist()
    engine.reset()
    assert [engine.run(TOKENS).tolist(), executor.run(TOKENS).tolist()] == [first, first]
    assert executor.run(TOKENS).tolist() == first

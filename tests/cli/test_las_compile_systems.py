"""las-compile's systems: the list, their options, a settings file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compiler.netlist.hdf5 import load
from las_neuro.systems import names

Las = Callable[..., Any]


def test_the_list_explains_every_system(las: Las) -> None:
    said = las("las-compile", "--list-systems").out
    for name in names():
        assert f"\n{name}\n" in f"\n{said}"
    assert said.count("arXiv") >= 5
    assert "k=8.0" in said


def test_an_option_reaches_the_netlist(
    las: Las, save_model: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "net.h5"
    asked = ("--system", "sdllm", "--option", "k=4", "--option", "train=ternary", "--steps", "7")
    las("las-compile", save_model("llama"), "-o", out, "--quiet", *asked)
    options = load(out).provenance["options"]
    assert options["system_options"] == {"k": 4.0, "train": "ternary"}
    assert (options["system"], options["steps"]) == ("sdllm", 7)


@pytest.mark.slow
def test_a_file_says_the_same_and_the_line_wins(
    las: Las, save_model: Callable[..., Path], tmp_path: Path
) -> None:
    folder, text = save_model("llama"), tmp_path / "las.toml"
    text.write_text('system = "sdllm"\nsteps = 7\n[options]\nk = 4.0\ntrain = "ternary"\n')
    nets = [tmp_path / "file.h5", tmp_path / "line.h5"]
    las("las-compile", folder, "-o", nets[0], "--quiet", "--config", text)
    asked = ("--system", "sdllm", "--option", "k=4", "--option", "train=ternary", "--steps", "7")
    las("las-compile", folder, "-o", nets[1], "--quiet", *asked)
    assert nets[0].read_bytes() == nets[1].read_bytes()
    las("las-compile", folder, "-o", nets[0], "--quiet", "--config", text, "--option", "k=2")
    found = load(nets[0]).provenance["options"]
    assert (found["system_options"]["k"], found["steps"]) == (2.0, 7)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("system = ", "is no TOML"),
        ("sytem = 'las'", "no option 'sytem'"),
        ("steps = 'many'", "steps"),
        ("options = 3", "is no table"),
        ("system = 'sdllm'\n[options]\nkay = 1", "kay"),
    ],
)
def test_a_faulty_file_is_one_line(
    las: Las, save_model: Callable[..., Path], tmp_path: Path, content: str, fault: str
) -> None:
    text = tmp_path / "las.toml"
    text.write_text(content)
    done = las("las-compile", save_model("llama"), "-o", tmp_path / "n.h5", "--config", text)
    assert done.code == 2
    said = done.err
    assert fault in said
    assert not (tmp_path / "n.h5").exists()


@pytest.mark.parametrize(
    "arguments",
    [("--system", "spikelm"), ("--option", "k"), ("--option", "k=3"), ("--system", "nothing")],
)
def test_wrong_systems_and_options_are_one_line(
    las: Las, save_model: Callable[..., Path], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = las("las-compile", save_model("llama"), "-o", tmp_path / "n.h5", *arguments)
    assert done.code == 2
    said = done.err
    assert said.count("\n") <= 1
    assert "help: " in said


def test_a_plan_of_a_system(las: Las, plan: Callable[..., Path]) -> None:
    made = las("las-compile", plan("llama"), "--plan", "--json", "--system", "spikellm").out
    assert json.loads(made)["cores"] > 0

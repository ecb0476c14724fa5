"""Every example of pages, docstrings and command help runs as it stands.

The names that examples use (tiny_lm.h5, MODEL, FILE ...) are files of a folder made here, in which
a small random model stands for examples/tiny_lm.  What no test can run (downloads, a GPU, training
of minutes) is parsed by the command that would run it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trained_models
import typer
from examples_of_ours import Example, examples, script_of
from pages import ROOT

from compiler import compile
from compiler.netlist.hdf5 import save

Las = Callable[..., Any]
SHIPPED = ROOT / "examples/tiny_lm"
ALL = examples()
COMMANDS = list({one.text: one for one in ALL if one.language == "sh"}.values())
PARSED = {  # examples with these words are parsed, not run
    "arc_easy": "downloads a data set",
    "cuda": "needs a GPU",
    "--images": "needs a vision model's netlist",
    "las-finetune": "trains for minutes; tests/las_neuro/test_finetune.py runs it briefly",
    "examples/train_spikelm.py": "trains for ten minutes",
    "benchmarks/": "measures for hours",
    "docs/draw_architecture.py": "writes to docs; tests/test_architecture_page.py runs it",
}
SLOW = ("lava",)  # takes every step through Lava
NETLISTS = ("tiny_lm.h5", "sdllm.h5", "NET.h5", "A.h5", "B.h5", "C.h5", "build/tiny_lm.h5")
TEXTS = ("FILE", "book.txt", "text.txt", "eval.txt")
MODELS = ("MODEL", "path/to/model", "model")


def case(one: Example) -> Any:
    marks = [pytest.mark.slow] if any(word in one.text for word in SLOW) else []
    if "lava" in one.words:
        marks.append(pytest.mark.lava)
    return pytest.param(one, marks=marks, id=f"{one.where} {one.text[:60]}")


def reason(one: Example) -> str | None:
    """Why an example is parsed and not run."""
    return next((why for word, why in PARSED.items() if word in one.text), None)


RUN = [one for one in COMMANDS if not reason(one) and one.text.startswith("las-")]
NOT_RUN = [one for one in COMMANDS if reason(one)]
MADE = [one for one in COMMANDS if one.words[0] == "make"]


@pytest.fixture
def workspace(inputs: Path, tmp_path: Path) -> Path:
    """A folder with everything that examples name; what one example writes no other reads."""
    return Path(shutil.copytree(inputs, tmp_path / "workspace", copy_function=os.link))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    model = folder / "examples/tiny_lm"
    small_model(model)
    lines = (SHIPPED / "heldout.txt").read_text("utf-8").splitlines()
    for name in ("calibration.txt", "heldout.txt"):
        (model / name).write_text("\n".join(lines[:4]))
    for name in TEXTS:
        (folder / name).write_text("\n".join(lines[:4]))
    (folder / "path/to").mkdir(parents=True)
    for name in MODELS:
        shutil.copytree(model, folder / name)
    (folder / "build").mkdir()
    save(compile(model, calibrate=model / "calibration.txt", steps=6), folder / NETLISTS[0])
    for name in NETLISTS[1:]:
        shutil.copy(folder / NETLISTS[0], folder / name)
    task = {"context": "The statement", "choices": [" is", " used"], "gold": 1}
    (folder / "FILE.jsonl").write_text(json.dumps(task) + "\n")
    for names, train in ((("TUNED", "tiny_fas"), trained_models.fas),
                         (("TRAINED", "tiny_spikelm"), trained_models.spikelm)):  # fmt: skip
        for name in names:
            train(Path(shutil.copytree(model, folder / name)))
    return folder


def small_model(folder: Path) -> None:
    """A random model with the shipped one's words."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    words = json.loads((SHIPPED / "config.json").read_text())
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "head_dim": 8}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 32}
    torch.manual_seed(3)
    LlamaForCausalLM(LlamaConfig(**words | sizes | heads)).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(SHIPPED / name, folder / name)


def test_there_are_examples_of_every_command() -> None:
    assert len(COMMANDS) > 30
    programs = {one.words[0] for one in COMMANDS}
    scripts = re.findall(r"^(las-\w+) =", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert len(scripts) == 8
    assert programs >= set(scripts)
    assert {one.language for one in ALL} == {"sh", "python", "toml"}
    assert [one.text for one in COMMANDS if one not in RUN + NOT_RUN + MADE] == []


@pytest.mark.parametrize("example", map(case, RUN))
def test_a_command_runs(las: Las, workspace: Path, example: Example) -> None:
    if "lava" in example.words:
        pytest.importorskip("lava")
    done = las(*example.words, cwd=workspace)
    assert (done.code, done.err) == (0, "")
    assert done.out or "-o" in example.words


@pytest.mark.parametrize("example", map(case, NOT_RUN))
def test_a_command_is_understood(monkeypatch: pytest.MonkeyPatch, example: Example) -> None:
    words = re.sub(r"\[(--.*?)\]", r"\1", example.text.replace(",...", "").replace(" ...", ""))
    program, *arguments = Example("", "sh", words).words
    if program == "las-harness":
        cli = pytest.importorskip("lm_eval._cli")
        monkeypatch.setattr(sys, "argv", [program, *arguments])
        assert cli.HarnessCLI().parse_args().model == "las"
    elif program == "python":
        parse(script(script_of([program, *arguments])), arguments[1:])
    else:
        parse(entry(program, monkeypatch), arguments)


def parse(app: typer.Typer, arguments: list[str]) -> None:
    """Raises what the command would say of its arguments."""
    typer.main.get_command(app).make_context("example", arguments, resilient_parsing=False)


def script(path: Path) -> typer.Typer:
    """The command line of a script that calls `typer.run(main)`; one without takes no arguments."""
    spec = importlib.util.spec_from_file_location(f"script_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    app = typer.Typer()
    app.command()(module.main if "typer.run(main)" in path.read_text("utf-8") else lambda: None)
    return app


def entry(program: str, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    """The command line of one of our commands."""
    seen: list[typer.Typer] = []
    monkeypatch.setattr("las_neuro.terminal.launch", lambda app, name: seen.append(app))
    scripts = dict(re.findall(r'^(las-\w+) = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.M))
    module, function = scripts[program].split(":")
    getattr(importlib.import_module(module), function)()
    return seen[0]


def test_a_wrong_option_is_not_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Exception, match=r"(?i)no such option"):
        parse(entry("las-finetune", monkeypatch), ["MODEL", "--text", "FILE", "--updats", "3"])


@pytest.mark.parametrize(
    "example", [one for one in ALL if one.language == "python"], ids=lambda one: one.where
)
def test_python_runs(workspace: Path, monkeypatch: pytest.MonkeyPatch, example: Example) -> None:
    monkeypatch.chdir(workspace)
    exec(example.text, {"__name__": "example"})


@pytest.mark.parametrize(
    "example", [one for one in ALL if one.language == "toml"], ids=lambda one: one.where
)
def test_settings_are_read(las: Las, workspace: Path, example: Example) -> None:
    (workspace / "las.toml").write_text(example.text)
    done = las("las-compile", "MODEL", "-o", "set.h5", "--config", "las.toml", cwd=workspace)
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("example", MADE, ids=str)
def test_make_knows_its_targets(example: Example) -> None:
    targets = re.findall(r"^(\w+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert example.words[1] in targets

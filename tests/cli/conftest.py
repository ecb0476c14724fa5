"""The real commands on two tiny random models, each compiled once a session."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

LETTERS = "abcdefghijklmnopqrstuvwxyz .,\n"
SIZES = {
    "vocab_size": 32,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 24,
}
TEXT = "the cat sat on the mat. the dog ran to the cat, and the cat ran from the dog.\n" * 4
ENTRIES = {
    "las-compile": "compiler.commands.las_compile:main",
    "las-run": "hwsim.commands.las_run:main",
    "las-eval": "hwsim.commands.las_eval:main",
    "las-audit": "hwsim.commands.las_audit:main",
    "las-diff": "hwsim.commands.las_diff:main",
    "las-harness": "hwsim.commands.las_harness:main",
    "las-inspect": "hwsim.commands.las_inspect:main",
    "las-finetune": "las_neuro.commands.las_finetune:main",
}


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def script() -> Callable[[str], list[str]]:
    """script("las-run"): the command's entry point, as the installed script starts it."""

    def words(name: str) -> list[str]:
        module, function = ENTRIES[name].split(":")
        start = f"import sys; sys.argv[0] = {name!r}; from {module} import {function} as f; f()"
        return [sys.executable, "-c", start]

    return words


@pytest.fixture(scope="session")
def las_process(script: Callable[[str], list[str]]) -> Command:
    """las_process("las-run", ...): the real command, in a new process."""

    def command(*words: str | Path, cwd: Path | None = None) -> Done:
        name, *arguments = map(str, words)
        done = subprocess.run(
            [*script(name), *arguments],
            capture_output=True,
            text=True,
            cwd=cwd,
            env=ENVIRONMENT,
            timeout=240,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return command


@pytest.fixture(scope="session")
def las(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """las("las-run", ...): the same without the second that imports take (see forking.py)."""
    folder = tmp_path_factory.mktemp("streams")
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("forking.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert server.stdin is not None
    assert server.stdout is not None

    def command(*words: str | Path, cwd: Path | None = None) -> Done:
        out, err = folder / "out", folder / "err"
        argv = list(map(str, words))
        job = {"argv": argv, "entry": ENTRIES[argv[0]], "cwd": str(cwd or Path.cwd())}
        print(json.dumps(job | {"out": str(out), "err": str(err)}), file=server.stdin, flush=True)
        code = int(server.stdout.readline())
        return Done(code, out.read_text("utf-8"), err.read_text("utf-8"))

    yield command
    server.stdin.close()
    server.wait(30)
    server.stdout.close()


def save_tokenizer(folder: Path, frame: str) -> None:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors

    words = {"<s>": 0, "<?>": 1} | {letter: i for i, letter in enumerate(LETTERS, start=2)}
    made = Tokenizer(models.WordLevel(words, unk_token="<?>"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    made.decoder = decoders.Fuse()
    made.add_special_tokens(["<s>"])
    made.post_processor = processors.TemplateProcessing(frame, special_tokens=[("<s>", 0)])
    made.save(str(folder / "tokenizer.json"))


@pytest.fixture(scope="session")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a tokenizer of letters; its greedy text never ends by itself."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("models") / "decoder"
    torch.manual_seed(3)
    config = LlamaConfig(**SIZES, num_key_value_heads=1, eos_token_id=None)
    model = LlamaForCausalLM(config)
    with torch.no_grad():  # transformers' own start is so small that all logits are alike
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    model.save_pretrained(folder)
    save_tokenizer(folder, "<s> $A")
    return folder


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("models") / "encoder"
    torch.manual_seed(4)
    model = BertModel(BertConfig(**SIZES))
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    model.save_pretrained(folder)
    save_tokenizer(folder, "<s> $A <s>")
    return folder


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="session")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "lines.txt"
    path.write_text("the cat\nthe dog\n\na mat, a cat\nran\n")
    return path


def compiled(las: Command, folder: Path, model: Path, text: Path) -> Path:
    path = folder / "net.h5"
    done = las("las-compile", model, "-o", path, "--calibrate", text)
    assert done.code == 0, done.err
    assert done.err == ""
    return path


@pytest.fixture(scope="session")
def netlist(
    las: Command, tmp_path_factory: pytest.TempPathFactory, decoder: Path, text: Path
) -> Path:
    return compiled(las, tmp_path_factory.mktemp("netlists"), decoder, text)


@pytest.fixture(scope="session")
def encoder_netlist(
    las: Command, tmp_path_factory: pytest.TempPathFactory, encoder: Path, lines: Path
) -> Path:
    return compiled(las, tmp_path_factory.mktemp("netlists"), encoder, lines)


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[Path], Path]:
    """copy(model folder) -> a copy of it to spoil."""
    return lambda folder: shutil.copytree(folder, tmp_path / "model")

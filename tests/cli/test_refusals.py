"""Every bad input through the real commands: one line that names file and remedy, exit 2, no trace.

"No trace": no traceback, nothing on stdout, and the folder that was to get the result is unchanged.
"""

from __future__ import annotations

import json
import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compiler.netlist.hdf5 import load
from hwsim.backends.lava.runtime import installed

Break = Callable[[Path], Path]  # spoils a model folder; gives what the command is to be called with


def refused(done, *said: str) -> None:
    assert done.code == 2, done.err
    assert done.out == ""
    assert done.err.count("\n") == 1, done.err
    assert done.err.startswith("error: ")
    assert "; help: " in done.err
    assert "Traceback" not in done.err
    for word in said:
        assert word in done.err


def weights(folder: Path) -> Path:
    return folder / "model.safetensors"


def header(folder: Path, change: Callable[[dict[str, object]], None]) -> Path:
    raw = weights(folder).read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    entries = json.loads(raw[8 : 8 + length])
    change(entries)
    text = json.dumps(entries).encode()
    weights(folder).write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])
    return folder


def config(folder: Path, **fields: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    return folder


def truncated(folder: Path) -> Path:
    weights(folder).write_bytes(weights(folder).read_bytes()[:-100])
    return folder


def wrong_magic(folder: Path) -> Path:
    weights(folder).write_bytes(b"\x89HDF\r\n\x1a\n" + weights(folder).read_bytes()[8:])
    return folder


def filled(value: float) -> Break:
    def spoil(folder: Path) -> Path:
        raw = bytearray(weights(folder).read_bytes())
        raw[-4:] = np.float32(value).tobytes()
        weights(folder).write_bytes(raw)
        return folder

    return spoil


def scaled(factor: float) -> Break:
    def spoil(folder: Path) -> Path:
        raw = weights(folder).read_bytes()
        (length,) = struct.unpack("<Q", raw[:8])
        values = np.frombuffer(raw[8 + length :], np.float32) * np.float32(factor)
        weights(folder).write_bytes(raw[: 8 + length] + values.tobytes())
        return folder

    return spoil


def missing_tensor(folder: Path) -> Path:
    def rename(entries: dict[str, object]) -> None:
        entries["other"] = entries.pop("model.norm.weight")

    return header(folder, rename)


def pickled(folder: Path) -> Path:
    weights(folder).unlink()
    (folder / "pytorch_model.bin").write_bytes(b"PK\x03\x04")
    return folder


def pickle_itself(folder: Path) -> Path:
    (folder / "pytorch_model.bin").write_bytes(b"PK\x03\x04")
    return folder / "pytorch_model.bin"


def gone(folder: Path) -> Path:
    return folder / "nothing"


MODELS: dict[str, tuple[Break, str]] = {
    "truncated": (truncated, "model.safetensors: truncated"),
    "wrong magic": (wrong_magic, "model.safetensors: not a safetensors file"),
    "NaN": (filled(float("nan")), "NaN or infinite"),
    "infinite": (filled(float("-inf")), "NaN or infinite"),
    "far too large": (scaled(1e18), "not finite"),
    "missing tensor": (missing_tensor, "model.norm.weight"),
    "shape against config": (lambda f: config(f, intermediate_size=20), "config.json implies"),
    "unknown architecture": (lambda f: config(f, model_type="mamba"), "config.json: model_type"),
    "pickle in the folder": (pickled, "pytorch_model.bin: is a pickle"),
    "pickle named": (pickle_itself, "pytorch_model.bin: is a pickle"),
    "no such path": (gone, "nothing: no such file or folder"),
    "too long": (
        lambda f: config(f, max_position_embeddings=1 << 24),
        "a pointer counts to 65,535",
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_bad_model(
    las, name: str, decoder: Path, text: Path, copy: Callable[[Path], Path], tmp_path: Path
) -> None:
    spoil, said = MODELS[name]
    model = spoil(copy(decoder))
    out = tmp_path / "out"
    out.mkdir()
    refused(las("las-compile", model, "-o", out / "net.h5", "--calibrate", text), said)
    assert list(out.iterdir()) == []


def unknown_type(folder: Path) -> Path:
    def rename(entries: dict[str, object]) -> None:
        entry = entries["model.norm.weight"]
        assert isinstance(entry, dict)
        entry["dtype"] = "F99"

    return header(folder, rename)


def integers(folder: Path) -> Path:
    def retype(entries: dict[str, object]) -> None:
        entry = entries["model.norm.weight"]
        assert isinstance(entry, dict)
        entry["dtype"] = "I32"

    return header(folder, retype)


WEIGHTS: dict[str, tuple[Break, str]] = {
    "NaN": (filled(float("nan")), "NaN or infinite"),
    "infinite": (filled(float("inf")), "NaN or infinite"),
    "unknown type": (unknown_type, "model.norm.weight is F99"),
    "integers": (integers, "model.norm.weight is I32"),
    "far too large": (scaled(1e18), "not finite"),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_bad_weight_without_a_calibration_text(
    las, name: str, decoder: Path, copy: Callable[[Path], Path], tmp_path: Path
) -> None:
    """The model then draws its text itself, which reads the weights before anything else does."""
    spoil, said = WEIGHTS[name]
    model = spoil(copy(decoder))
    refused(las("las-compile", model, "-o", tmp_path / "net.h5"), said)
    assert not (tmp_path / "net.h5").exists()


OPTIONS: dict[str, tuple[list[str], str]] = {
    "unknown target": (["--target", "loihi9"], "loihi9"),
    "target without graded spikes": (["--target", "loihi1"], "carry no value"),
    "target too small": (["--target", "loihi2", "--context", "60000"], "loihi2 has"),
    "context": (["--context", "99999999"], "context"),
    "system": (["--system", "snn"], "system"),
    "steps": (["--steps", "3"], "steps"),
    "code": (["--code", "unary"], "code = 'unary'"),
    "steps is no number": (["--steps", "x"], "--steps"),
    "infinite budget": (["--error-budget", "inf"], "error_budget = inf"),
    "budget below 0": (["--error-budget", "-1"], "error_budget = -1"),
    "budget of 0": (["--error-budget", "0"], "error_budget = 0"),
    "budget no number": (["--error-budget", "nan"], "error_budget = nan"),
    "three planes": (["--weight-planes", "3"], "weight_planes = 3"),
    "unknown option": (["--stepz", "4"], "--stepz"),
    "unknown pass": (["--dump-after", "paint"], "paint"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_bad_option(
    las, name: str, decoder: Path, copy: Callable[[Path], Path], tmp_path: Path
) -> None:
    words, said = OPTIONS[name]
    model = config(copy(decoder), max_position_embeddings=65535)
    out = tmp_path / "out"
    out.mkdir()
    refused(las("las-compile", model, "-o", out / "net.h5", *words), said)
    assert list(out.iterdir()) == []


def test_nothing_to_write(las, decoder: Path) -> None:
    refused(las("las-compile", decoder), "-o FILE.h5")


@pytest.mark.parametrize("content", [b"", b" \n\n", b"\xff\xfe\x00"], ids=["empty", "blank", "utf"])
def test_a_bad_calibration_text(las, content: bytes, decoder: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_bytes(content)
    out = tmp_path / "out"
    out.mkdir()
    done = las("las-compile", decoder, "-o", out / "net.h5", "--calibrate", text)
    refused(done, str(text))
    assert list(out.iterdir()) == []


def test_a_calibration_text_from_a_pipe(
    las, decoder: Path, text: Path, netlist: Path, tmp_path: Path
) -> None:
    """`--calibrate <(cat text)`: it can be read only once, and is worth what the file is."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(text.read_bytes()), daemon=True)
    writer.start()
    done = las("las-compile", decoder, "-o", tmp_path / "net.h5", "--calibrate", pipe)
    assert (done.code, done.err) == (0, "")
    assert (tmp_path / "net.h5").read_bytes() == netlist.read_bytes()


def generation_config(content: str) -> Break:
    def write(folder: Path) -> Path:
        (folder / "generation_config.json").write_text(content)
        return folder

    return write


@pytest.mark.parametrize("content", ["[" * 100_000, "{", "[]"], ids=["nested", "cut", "list"])
def test_bad_generation_settings(
    las, content: str, decoder: Path, text: Path, copy: Callable[[Path], Path], tmp_path: Path
) -> None:
    model, out = generation_config(content)(copy(decoder)), tmp_path / "net.h5"
    done = las("las-compile", model, "-o", out, "--calibrate", text)
    refused(done, "generation_config.json: ")
    assert not out.exists()


def test_an_end_token_that_no_text_can_reach_is_none(
    las, decoder: Path, text: Path, copy: Callable[[Path], Path], tmp_path: Path
) -> None:
    model, out = config(copy(decoder), eos_token_id=-1), tmp_path / "net.h5"
    done = las("las-compile", model, "-o", out, "--calibrate", text)
    assert done.code == 0, done.err
    assert load(out).provenance["end_tokens"] == []
    done = las("las-run", out, "--prompt", "the", "--max-new-tokens", "2")
    assert done.code == 0, done.err


def places(tmp_path: Path) -> dict[str, Path]:
    """Outputs that nobody can write, not even root."""
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.h5").mkdir()
    found = {
        "missing folder": tmp_path / "no" / "net.h5",
        "under a file": tmp_path / "file" / "net.h5",
        "a folder": tmp_path / "folder.h5",
    }
    if os.geteuid() != 0:
        (tmp_path / "locked").mkdir(mode=0o500)
        found["read-only"] = tmp_path / "locked" / "net.h5"
    return found


def test_an_output_that_cannot_be_written(
    las, decoder: Path, netlist: Path, text: Path, tmp_path: Path
) -> None:
    for path in places(tmp_path).values():
        before = sorted(tmp_path.rglob("*"))
        done = las("las-compile", decoder, "-o", path, "--calibrate", text)
        refused(done, f"{path}: cannot be written")
        page = path.with_suffix(".html") if not path.is_dir() else path
        done = las("las-audit", netlist, "--text", text, "-o", page)
        refused(done, f"{page}: cannot be written")
        assert sorted(tmp_path.rglob("*")) == before


def test_a_disk_that_fills_up_while_writing(las, decoder: Path, text: Path, tmp_path: Path) -> None:
    """A limit on file size stops the writing half way, as a full disk does."""
    import resource
    import subprocess
    import sys

    code = (
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "import sys, resource; from compiler.commands.las_compile import main\n"
        f"sys.argv = ['las-compile', {str(decoder)!r}, '-o', {str(tmp_path / 'net.h5')!r},"
        f" '--calibrate', {str(text)!r}]\n"
        "from compiler.netlist import hdf5; save = hdf5.save\n"
        "def limited(net, path):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)); save(net, path)\n"
        "hdf5.save = limited\n"
        "main()\n"
    )
    assert resource.RLIMIT_FSIZE is not None
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "net.h5: cannot be written" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def spoiled_netlists(netlist: Path, folder: Path) -> dict[str, Path]:
    raw = netlist.read_bytes()
    first, _, rest = raw.partition(b"\n")
    words = first.split(b" ")
    newer = b" ".join([*words[:2], str(int(words[2]) + 1).encode(), *words[3:]])
    flipped = bytearray(raw)
    flipped[len(raw) // 2] ^= 64
    made = {
        "truncated": raw[: len(raw) // 2],
        "damaged": bytes(flipped),
        "newer": newer + b"\n" + rest,
        "empty": b"",
        "other": b"\x89HDF\r\n\x1a\n" + b"\0" * 2000,
    }
    found = {}
    for name, content in made.items():
        found[name] = folder / f"{name}.h5"
        found[name].write_bytes(content)
    return found | {"missing": folder / "missing.h5", "folder": folder}


COMMANDS = {
    "las-run": ["--prompt", "the"],
    "las-inspect": [],
    "las-eval": ["--text", "TEXT"],
    "las-audit": ["--text", "TEXT"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_bad_netlist(las, name: str, netlist: Path, text: Path, tmp_path: Path) -> None:
    files = spoiled_netlists(netlist, tmp_path)
    before = sorted(tmp_path.iterdir())
    kinds = files if name == "las-inspect" else ["truncated", "newer", "missing"]
    for kind in kinds:
        words = [str(text) if word == "TEXT" else word for word in COMMANDS[name]]
        done = las(name, files[kind], *words, cwd=tmp_path)
        refused(done, str(files[kind]))
        if kind == "newer":
            assert "version" in done.err
    assert sorted(tmp_path.iterdir()) == before


RUNS: dict[str, tuple[list[str], str]] = {
    "prompt too long": (["--prompt", "the cat sat on the mat, the dog"], "context is 24"),
    "prompt empty": (["--tokens", ""], "not integers"),
    "prompt not UTF-8": (["--prompt", "\udcff"], "not UTF-8"),
    "ids outside": (["--tokens", "1,99"], "token id 99 is outside 0 to 31"),
    "unknown backend": (["--prompt", "a", "--backend", "gpu"], "gpu"),
    "unknown check": (["--prompt", "a", "--check", "gpu"], "gpu"),
    "temperature": (["--prompt", "a", "--temperature", "-1"], "temperature"),
    "no reference": (["--prompt", "a", "--reference", "nowhere"], "nowhere"),
    "no new tokens": (["--prompt", "a", "--max-new-tokens", "0"], "--max-new-tokens"),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_bad_run(las, name: str, netlist: Path) -> None:
    words, said = RUNS[name]
    refused(las("las-run", netlist, *words), said)


@pytest.mark.skipif(installed(), reason="Lava is here")
def test_lava_is_not_here(las, netlist: Path) -> None:
    refused(las("las-run", netlist, "--prompt", "a", "--backend", "lava"), "Lava")


def test_a_bad_text(las, netlist: Path, encoder_netlist: Path, tmp_path: Path) -> None:
    empty, long = tmp_path / "empty.txt", tmp_path / "long.txt"
    empty.write_text("")
    long.write_text("short\n" + "the cat sat on the mat " * 4)
    refused(las("las-eval", netlist, "--text", empty), f"{empty}: is empty")
    refused(las("las-eval", netlist, "--text", tmp_path / "no.txt"), "no.txt: cannot be read")
    refused(las("las-audit", netlist, "--text", empty, "-o", tmp_path / "a.html"), "is empty")
    refused(las("las-eval", encoder_netlist, "--text", long), f"{long}: line 2 has")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.txt", "long.txt"]


@pytest.mark.parametrize("most", [10**9, 10**18])
def test_more_tokens_than_there_are(las, most: int, netlist: Path, text: Path) -> None:
    done = las("las-eval", netlist, "--text", text, "--max-tokens", most, "--json")
    assert (done.code, done.err) == (0, "")
    read, unscored = text.stat().st_size, 13  # the first token of each window of 24
    assert json.loads(done.out)["bytes"] == read - unscored


def test_the_smallest_temperature_is_greedy(las, netlist: Path) -> None:
    words = ("las-run", netlist, "--prompt", "the", "--max-new-tokens", "4", "--json")
    cold, greedy = las(*words, "--temperature", "1e-320"), las(*words)
    assert (cold.code, cold.err) == (0, "")
    assert json.loads(cold.out)["tokens"] == json.loads(greedy.out)["tokens"]


@pytest.fixture
def beyond(
    las, decoder: Path, text: Path, copy: Callable[[Path], Path], tmp_path: Path
) -> tuple[Path, Path]:
    """A netlist whose tokenizer has an id beyond the vocabulary, and a text that has it."""
    model = copy(decoder)
    path = model / "tokenizer.json"
    words = json.loads(path.read_text())
    words["model"]["vocab"]["#"] = 99
    path.write_text(json.dumps(words))
    done = las("las-compile", model, "-o", tmp_path / "net.h5", "--calibrate", text, "--json")
    assert (done.code, done.err) == (0, "")
    json.loads(done.out)  # the tokenizers library says something about the gap, but not here
    (tmp_path / "text.txt").write_text("the cat # the dog\n" * 9)
    return tmp_path / "net.h5", tmp_path / "text.txt"


def test_a_token_beyond_the_vocabulary(
    las, beyond: tuple[Path, Path], decoder: Path, tmp_path: Path
) -> None:
    net, text = beyond
    said = f"{text}: token id 99 is outside 0 to 31"
    refused(las("las-eval", net, "--text", text, "--json"), said)
    refused(las("las-audit", net, "--text", text, "-o", tmp_path / "a.html"), said)
    refused(las("las-diff", decoder, net, "--text", text), said)
    refused(las("las-run", net, "--prompt", "a # b"), "token id 99 is outside 0 to 31")
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text('{"context": "the", "choices": ["cat", "#"], "gold": 0}\n')
    refused(las("las-eval", net, "--tasks", tasks), "line 1: choice 1", "token id 99")

"""No command replaces what it reads, or anything that is no regular file; a link stays a link."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

import pytest

LETTER = "the cat sat on the mat.\n" * 8


def unchanged(las, folder: Path, said: str, *words: str | Path) -> None:
    """The command is refused in one line, and every file is as it was."""
    before = snapshot(folder)
    done = las(*words)
    assert done.code == 2, done.err
    assert done.out == ""
    assert done.err.count("\n") == 1, done.err
    assert "cannot be written" in done.err
    assert said in done.err
    assert snapshot(folder) == before


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every path: type and permissions, the file itself, its content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        state = path.lstat()
        found[str(path)] = (state.st_mode, state.st_ino, content)
    return found


@pytest.fixture
def place(tmp_path: Path, decoder: Path, netlist: Path) -> Path:
    """A folder with copies of a model, a netlist and a text, and links to them."""
    shutil.copytree(decoder, tmp_path / "m")
    shutil.copyfile(netlist, tmp_path / "net.h5")
    (tmp_path / "text.txt").write_text(LETTER)
    (tmp_path / "tables.json").write_text("{}")
    (tmp_path / "las.toml").write_text("steps = 16\n")
    (tmp_path / "link.h5").symlink_to("net.h5")
    (tmp_path / "weights").symlink_to("m/model.safetensors")
    os.link(tmp_path / "text.txt", tmp_path / "hard.txt")
    os.mkfifo(tmp_path / "fifo")
    return tmp_path


@pytest.mark.parametrize(
    "output",
    ["m/model.safetensors", "m/config.json", "m/tokenizer.json", "weights", "text.txt", "hard.txt"],
)
def test_las_compile_keeps_its_inputs(las, place: Path, output: str) -> None:
    words = ("las-compile", place / "m", "--calibrate", place / "text.txt", "-o", place / output)
    unchanged(las, place, "this command reads it", *words)


@pytest.mark.parametrize("option", ["tables.json", "las.toml"])
def test_nor_does_it_replace_its_tables_or_settings(las, place: Path, option: str) -> None:
    name = "--tables" if option.startswith("tables") else "--config"
    words = ("las-compile", place / "m", name, place / option, "-o", place / option)
    unchanged(las, place, "this command reads it", *words)


def test_a_device_and_a_pipe_stay(las, place: Path) -> None:
    _, terminal = os.openpty()
    device = Path(os.ttyname(terminal))
    for output, said in ((place / "fifo", "a pipe"), (device, "a character device")):
        unchanged(las, place, said, "las-compile", place / "m", "-o", output)
    assert device.is_char_device()


def test_a_link_is_followed(las, place: Path) -> None:
    before = (place / "net.h5").read_bytes()
    words = ("las-compile", place / "m", "--calibrate", place / "text.txt")
    done = las(*words, "-o", place / "link.h5", "--steps", "12")
    assert done.code == 0, done.err
    assert (place / "link.h5").is_symlink()
    assert not (place / "net.h5").is_symlink()
    assert (place / "net.h5").read_bytes() != before


def test_a_result_is_replaced_by_the_next(las, place: Path) -> None:
    """Beside the weights, too: only what is read is kept."""
    for _ in range(2):
        done = las("las-compile", place / "m", "-o", place / "m" / "net.h5", "--quiet")
        assert done.code == 0, done.err


def test_las_audit_keeps_its_inputs(las, place: Path) -> None:
    words = ("las-audit", place / "net.h5", "--text", place / "text.txt", "-o")
    for output in ("net.h5", "link.h5", "text.txt", "hard.txt"):
        unchanged(las, place, "this command reads it", *words, place / output)
    (place / "a.json").write_text(LETTER)
    words = ("las-audit", place / "net.h5", "--text", place / "a.json", "-o", place / "a.html")
    unchanged(las, place, "a.json: cannot be written", *words, "--json")


def test_las_diff_keeps_its_inputs(las, place: Path) -> None:
    words = ("las-diff", place / "m", place / "net.h5", "--text", place / "text.txt", "-o")
    for output in ("net.h5", "m/model.safetensors", "weights", "text.txt"):
        unchanged(las, place, "this command reads it", *words, place / output)


def test_las_eval_keeps_its_inputs(las, place: Path) -> None:
    words = ("las-eval", place / "net.h5", "--text", place / "text.txt", "--reference", place / "m")
    shutil.copyfile(place / "net.h5", place / "other.h5")
    compared = (*words, "--compare", place / "other.h5", "-o")
    for output in ("net.h5", "m/model.safetensors", "text.txt"):
        unchanged(las, place, "this command reads it", *words, "--depth", place / output)
        unchanged(las, place, "this command reads it", *compared, place / output)
    unchanged(las, place, "this command reads it", *compared, place / "other.h5")


def test_las_eval_reads_a_pipe_twice(las, place: Path) -> None:
    """Once for the error along the depth, once for the figures."""
    text = (place / "text.txt").read_bytes()
    threading.Thread(target=(place / "fifo").write_bytes, args=(text,), daemon=True).start()
    words = ("las-eval", place / "net.h5", "--text", place / "fifo", "--reference", place / "m")
    done = las(*words, "--depth", place / "depth.json", "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["tokens"] > 0

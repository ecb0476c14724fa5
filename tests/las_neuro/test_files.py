"""Results replace regular files only, never an input; inputs are read once and within bounds."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from las_neuro.errors import CalibrationError, ConfigError, OutputError
from las_neuro.files import check_place, read_small, read_text, rereadable, write_atomic
from las_neuro.model_folder import model_files


def irregular(folder: Path) -> dict[str, Path]:
    """Everything that is no regular file; the words the message must hold -> the path."""
    os.mkfifo(folder / "fifo")
    (folder / "folder").mkdir()
    (folder / "to_fifo").symlink_to("fifo")
    (folder / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "socket"))
    return {
        "a pipe": folder / "fifo",
        "it is a pipe": folder / "to_fifo",
        "a character device": Path(os.ttyname(os.openpty()[1])),
        "a socket": folder / "socket",
        "directory": folder / "folder",
        "symbolic links": folder / "loop",
    }


def test_only_a_regular_file_is_replaced(tmp_path: Path) -> None:
    for said, path in irregular(tmp_path).items():
        before = os.lstat(path)
        for write in (lambda p: write_atomic(p, "x"), lambda p: check_place(p, "elsewhere")):
            with pytest.raises(OutputError, match=f"{path}: cannot be written") as caught:
                write(path)
            assert said in str(caught.value)
        after = os.lstat(path)
        assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    real, link, chain = tmp_path / "a" / "real.h5", tmp_path / "link.h5", tmp_path / "chain.h5"
    real.parent.mkdir()
    link.symlink_to("a/real.h5")
    chain.symlink_to(link)
    for path, content in ((link, "first"), (chain, "second")):  # to nothing yet, then to a file
        check_place(path, "elsewhere")
        write_atomic(path, content)
        assert real.read_text() == content
        assert not real.is_symlink()
    assert link.is_symlink()
    assert chain.is_symlink()
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a", "chain.h5", "link.h5", "real.h5"]


def test_permissions_of_the_replaced_file_stay(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    path.chmod(0o640)
    write_atomic(path, "new")
    assert path.stat().st_mode & 0o777 == 0o640


def test_an_input_is_never_replaced(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("words")
    (tmp_path / "link").symlink_to(text)
    os.link(text, tmp_path / "hard")
    for name in ("text.txt", "link", "hard", "../" + tmp_path.name + "/text.txt"):
        with pytest.raises(OutputError, match="this command reads it"):
            check_place(tmp_path / name, "elsewhere", [None, tmp_path / "other", text])
    with pytest.raises(OutputError, match=f"reads it as {tmp_path / 'link'}"):
        check_place(text, "elsewhere", [tmp_path / "link"])
    check_place(tmp_path / "new", "elsewhere", [text])
    assert text.read_text() == "words"


def test_a_model_s_files(tmp_path: Path) -> None:
    for name in ("config.json", "a.safetensors", "tokenizer.json", "net.h5", "notes.json"):
        (tmp_path / name).touch()
    read = {"config.json", "a.safetensors", "tokenizer.json"}
    for path in (tmp_path, tmp_path / "a.safetensors", tmp_path / "config.json"):
        assert {p.name for p in model_files(path) if p.is_file()} == read
    assert model_files(tmp_path / "net.h5") == [tmp_path / "net.h5"]
    assert model_files(None) == []


@pytest.mark.parametrize("limit", [10**9, 10**18, 10**30])
def test_a_limit_takes_no_memory(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "text.txt"
    path.write_text("ein Wört")
    assert read_text(path, limit) == ("ein Wört", True)
    assert read_small(path, limit) == "ein Wört"


def test_a_limit_may_cut_a_character(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("ein Wört")
    assert read_text(path, 5) == ("ein W", False)
    assert read_text(path) == ("ein Wört", True)
    with pytest.raises(ConfigError, match="larger than 8 bytes"):
        read_small(path, 8)
    assert read_small(path, 9) == "ein Wört"


def feed(path: Path, content: bytes) -> threading.Thread:
    """Write to a pipe once, as a shell's <(...) does."""

    def write() -> None:
        with path.open("wb") as pipe:
            pipe.write(content)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    return thread


def test_a_pipe_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "pipe.npy"
    os.mkfifo(path)
    thread = feed(path, b"words" * 100_000)
    with rereadable(path) as copied:
        assert copied is not None
        assert copied.suffix == ".npy"
        assert copied.read_bytes() == copied.read_bytes() == b"words" * 100_000
    thread.join()
    assert not copied.exists()


def read_piped(path: Path) -> None:
    with rereadable(path) as copied:
        assert copied is not None
        read_text(copied)


def test_errors_name_the_pipe_and_not_its_copy(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    feed(path, b" \n")
    with pytest.raises(CalibrationError) as caught:
        read_piped(path)
    assert caught.value.what == f"{path}: is empty"


def test_a_file_is_read_where_it_lies(tmp_path: Path) -> None:
    for path in (None, tmp_path, tmp_path / "nowhere"):
        with rereadable(path) as same:
            assert same == path

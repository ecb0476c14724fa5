"""How a command ends, whatever happens inside it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from las_neuro import terminal
from las_neuro.errors import PromptError


def ended(fault: BaseException | None, capsys, monkeypatch) -> tuple[object, str]:
    def probe(word: str = "x") -> None:
        """Say nothing."""
        if fault is not None:
            raise fault

    monkeypatch.setattr(sys, "argv", ["las-probe", "--word", "y"])
    monkeypatch.setattr(terminal, "_silence_stdout", lambda: None)
    with pytest.raises(SystemExit) as end:
        terminal.command(probe, "\n  las-probe\n")()
    return end.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("fault", "code", "line"),
    [
        (None, 0, ""),
        (typer.Exit(1), 1, ""),
        (PromptError("too\n long\x1b[2J", "cut it"), 2, "error: too long\\x1b[2J; help: cut it\n"),
        (MemoryError(), 2, "error: out of memory; help: "),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: ..."), 2, "error: out of mem"),
        (OSError(errno.ENOSPC, "No space left on device", "a.h5"), 2, "error: a.h5: cannot be w"),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, ""),
    ],
)
def test_each_end_has_its_code(fault, code, line, capsys, monkeypatch) -> None:
    got, err = ended(fault, capsys, monkeypatch)
    assert got == code
    assert err.startswith(line)
    assert err.count("\n") == (1 if line else 0)


def test_a_bug_keeps_its_traceback(capsys, monkeypatch) -> None:
    with pytest.raises(ZeroDivisionError):
        ended(ZeroDivisionError(), capsys, monkeypatch)
    code = (
        "import sys; sys.argv = ['las-probe', '--word', 'y']\n"
        "from las_neuro.terminal import command\n"
        "def probe(word: str = 'x') -> None: 1 / 0\n"
        "command(probe, '')()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize("name", ["las-compile", "las-run", "las-eval", "las-audit", "las-inspect"])
def test_help_and_version(las, name: str) -> None:
    shown, bare, version = las(name, "--help"), las(name), las(name, "--version")
    assert (shown.code, shown.err, bare.code) == (0, "", 0)
    assert bare.out == shown.out
    assert f"Usage: {name} " in shown.out
    assert "Examples:\n" in shown.out
    assert version.out == f"las-neuro {terminal.tool_version()}\n"


def test_a_pipe_that_closes_is_no_error(las, netlist: Path) -> None:
    script = Path(sys.executable).parent / "las-inspect"
    if not script.exists():
        pytest.skip("the package is not installed")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [script, netlist, "--all"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert done.returncode == 1
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_standard_output_is_said(netlist: Path) -> None:
    script = Path(sys.executable).parent / "las-inspect"
    if not script.exists():
        pytest.skip("the package is not installed")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [script, netlist], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.startswith("error: standard output: cannot be written")
    assert done.stderr.count("\n") == 1

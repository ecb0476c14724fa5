"""How a command ends, whatever happens inside it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
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


@pytest.mark.parametrize(
    "name", ["las-compile", "las-run", "las-eval", "las-audit", "las-diff", "las-inspect"]
)
def test_help_and_version(las_process, name: str) -> None:
    shown, bare, version = (las_process(name, *more) for more in (["--help"], [], ["--version"]))
    assert (shown.code, shown.err, bare.code) == (0, "", 0)
    assert bare.out == shown.out
    assert f"Usage: {name} " in shown.out
    assert "Examples:\n" in shown.out
    assert version.out == f"las-neuro {terminal.tool_version()}\n"


def test_a_pipe_that_closes_is_no_error(script, netlist: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*script("las-inspect"), netlist, "--all"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 1
    assert done.stderr == ""


def test_a_closed_standard_output_is_no_bug(script, netlist: Path) -> None:
    words = ["sh", "-c", 'exec "$@" >&-', "sh", *script("las-inspect"), str(netlist)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_standard_output_is_said(script, netlist: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*script("las-inspect"), netlist],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("error: standard output: cannot be written")
    assert done.stderr.count("\n") == 1


def test_a_terminal_without_utf8_is_no_error(script, netlist: Path, text: Path, tmp_path) -> None:
    words = [netlist, "--text", text, "-o", tmp_path / "a.json", "--max-tokens", "30"]
    done = subprocess.run(
        [*script("las-audit"), *words],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "J per token" in done.stdout


def wait_until_asleep(pid: int) -> None:
    """However long a busy machine takes to start it: a second without being run, five looks."""
    asleep = 0
    for _ in range(300):
        time.sleep(0.2)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        asleep = asleep + 1 if state == "S" else 0
        if asleep == 5:
            return
    raise AssertionError("never waits for its input")


def test_ctrl_c_ends_with_130(script, decoder: Path, tmp_path: Path) -> None:
    """Interrupted at work: no traceback, no file."""
    running = subprocess.Popen(
        [*script("las-compile"), decoder, "-o", tmp_path / "net.h5", "--calibrate", "/dev/stdin"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell's background job, such as this run may be, ignores the interrupt; so would this
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_until_asleep(running.pid)  # it waits for the text to end
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert (running.returncode, err) == (130, "")
    assert list(tmp_path.iterdir()) == []

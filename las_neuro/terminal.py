"""terminal: starts and ends every command; only this file sets exit codes and prints errors.

0    done
1    two engines disagree, or a bug (with its traceback), or the reader of a pipe closed it
2    the user can correct it: one line `error: WHAT; help: REMEDY` on stderr
130  interrupted
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer

from las_neuro.errors import LasError
from las_neuro.files import check_place
from las_neuro.progress import Progress, silent

PACKAGE = "las-neuro"
DISK_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}  # of a stream too; not bugs
OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")  # torch's words
SETTINGS = {"help_option_names": ["-h", "--help"]}


def tool_version() -> str:
    try:
        return version(PACKAGE)
    except PackageNotFoundError:  # run from a source tree that was not installed
        return "unknown"


def _show_version(show: bool) -> None:
    if show:
        typer.echo(f"{PACKAGE} {tool_version()}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars, no figures.")]


def command(function: Callable[..., None], examples: str) -> Callable[[], None]:
    """The entry point of one command; `examples` are lines to paste, shown under its options."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(epilog="\b\nExamples:" + examples, context_settings=SETTINGS)(function)
    return lambda: launch(app, f"las-{function.__name__}")


def launch(app: typer.Typer, name: str) -> None:
    """Run a command and exit; without arguments it shows its help."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # without UTF-8: escapes instead of an error
            stream.reconfigure(errors="backslashreplace")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    try:
        entry: Any = typer.main.get_command(app)
        code = entry.main(sys.argv[1:] or ["--help"], name, standalone_mode=False)
        if sys.stdout is not None:  # None if the shell closed it (`las-inspect NETLIST >&-`)
            sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:
        _silence_stdout()
        code = 1
    except Exception as error:
        line = _error_line(error, name)
        if line is None:
            raise
        print_error(line)
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


def print_error(line: str) -> None:
    """Print one line on stderr, even if a file's name or content put line breaks into it."""
    with contextlib.suppress(OSError):
        print(f"error: {printable(line)}", file=sys.stderr)


def printable(text: str) -> str:
    """Text on one line, without control characters that would move a terminal's cursor."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _error_line(error: Exception, name: str) -> str | None:
    """The line for an error that the user can correct; None for a bug."""
    if isinstance(error, LasError):
        return str(error)
    if hasattr(error, "format_message"):  # an option that typer refused
        message = " ".join(str(error.format_message()).split()).rstrip(".")
        return f"{message}; help: see {name} --help"
    if isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY):
        return "out of memory; help: use a smaller model, a shorter context or fewer tokens"
    if isinstance(error, OSError) and error.errno in DISK_FAULTS:
        _silence_stdout()
        where = error.filename or "standard output"
        return f"{where}: cannot be written ({error.strerror}); help: free some space"
    return None


def _silence_stdout() -> None:
    """Discard what stdout still buffers, so that Python does not try to write it again at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())


def print_json(record: dict[str, Any]) -> None:
    typer.echo(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False))


def print_facts(facts: dict[str, str]) -> None:
    """Print one name and value per line, the values aligned."""
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {printable(value)}")


def print_table(table: Any) -> None:
    """Print a rich table, up to 160 columns wide where there is no terminal."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160
    console.print(table)


def check_writable(path: Path, inputs: Iterable[Path | None]) -> None:
    """Raise `OutputError` before the work if its result could not be written afterwards.

    inputs: every file that the command reads; of a model, las_neuro.model_folder.model_files.
    """
    check_place(path, "name a file in a folder that exists and that you may write to", inputs)


@contextlib.contextmanager
def progress_bars(quiet: bool = False) -> Iterator[Progress]:
    """Yield a callback for progress; it draws bars on stderr if that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    with Bars(console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, of: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=of)
            bars.update(tasks[stage], completed=done, total=of)

        yield report

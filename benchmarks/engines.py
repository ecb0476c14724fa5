"""Checks that all engines give the same spikes; writes a table of docs/systems.md.

    python benchmarks/engines.py [--data ../shared/data] [--only tiny] [--trained DIR]

Each model is compiled completely with each system, and las-diff compares the fast engine with the
step engine.  Then its first layer, with embeddings and head, is compiled alone, and las-diff
compares the fast engine with Lava.  Contexts are short because each token of a context has a slot.
--trained: the folder that benchmarks/systems.py writes; models missing there are trained for a few
updates, which is enough to compare engines.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import typer
from commands import BIN, command
from markdown import table as markdown_table
from models import DATA, available_models
from record import ROOT, Row, by_stamp, fill, load, machine, save, today
from safetensors.numpy import load_file, save_file
from systems import DOCS, NAMES, sources

RECORD = ROOT / "benchmarks" / "engines.json"
CONTEXT = 16
FEW_UPDATES = ("--updates", 3)
TOKENS = {"step": 4, "lava": 2}
LAYERS = ("num_hidden_layers", "n_layer")
LATER = re.compile(r"(?:^|\.)[1-9]\d*\.")  # tensors of the second and later layers


def main(data: Path = DATA, only: str = "", trained: Path | None = None) -> None:
    """Compare, and write benchmarks/engines.json and the table of docs/systems.md."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model in available_models(data):
            if only in model["name"]:
                checkpoints = sources(model, NAMES, data, folder, trained or folder, FEW_UPDATES)
                shared = ("--calibrate", model["calibrate"], "--context", CONTEXT)
                rows = {
                    system: compared(source, (*shared, *options), folder)
                    for system, (source, options) in checkpoints.items()
                }
                keep(model["name"], rows)


def compared(source: Path, options: tuple[Any, ...], folder: Path) -> Row:
    """The number of spikes compared: by the step engine, whole model; by Lava, first layer."""
    print(source.name, *options, flush=True)
    return {
        "step": spikes_alike(source, options, "step", folder),
        "lava": spikes_alike(first_layer(source, folder), options, "lava", folder),
    }


def spikes_alike(source: Path, options: tuple[Any, ...], backend: str, folder: Path) -> int:
    """The number of spikes compared; exits at the first one that differs."""
    net, text, report = (folder / name for name in ("net.h5", "text.txt", "diff.json"))
    command("las-compile", source, "-o", net, *options)
    text.write_text("What is a little dog to the king? It was the first.\n")
    words = [BIN / "las-diff", net, net, "--backend-b", backend, "--text", text, "-q"]
    words += ["--max-tokens", TOKENS[backend], "-o", report]
    subprocess.run([str(word) for word in words], check=True)
    spikes = json.loads(report.read_text())["spikes"]
    if spikes["why"] or spikes["difference"]:
        raise SystemExit(f"{source}, {options}: {spikes}")
    return int(spikes["spikes"])


def first_layer(source: Path, folder: Path) -> Path:
    """A copy of the checkpoint with its first layer only."""
    copy = folder / "first_layer"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy)
    config = json.loads((copy / "config.json").read_text())
    config |= {key: 1 for key in LAYERS if key in config}
    (copy / "config.json").write_text(json.dumps(config))
    for path in copy.glob("*.safetensors"):
        first = {name: x for name, x in load_file(path).items() if not LATER.search(name)}
        path.unlink()
        save_file(first, path, metadata={"format": "pt"})
    return copy


def keep(name: str, rows: dict[str, Row]) -> None:
    """Replace the model's figures in the record and on the page."""
    figures = load(RECORD)
    figures[name] = {"stamp": f"{today()}, {machine()}", "rows": rows}
    save(RECORD, figures)
    fill(DOCS, {"engines": table(figures)})


def table(figures: dict[str, Any]) -> str:
    systems = dict.fromkeys(system for model in figures.values() for system in model["rows"])
    rows = (
        [system, *(cell(model["rows"].get(system)) for model in figures.values())]
        for system in systems
    )
    stamps = by_stamp({name: model["stamp"] for name, model in figures.items()})
    captions = "; ".join(f"{', '.join(names)}: {stamp}" for stamp, names in stamps)
    body = markdown_table(("system", *figures), rows)
    return f"{body}\n\nCompared by `benchmarks/engines.py`; {captions}."


def cell(row: Row | None) -> str:
    return "-" if row is None else f"{row['step']:,} / {row['lava']:,}"


if __name__ == "__main__":
    typer.run(main)

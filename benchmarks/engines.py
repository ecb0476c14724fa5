"""The same spikes from every engine, system by system and model by model; docs/systems.md.

    python benchmarks/engines.py [--data ../shared/data] [--only tiny] [--trained DIR]

Each model is compiled whole with each system, and las-diff compares the fast engine with the step
engine; then its first layer alone, with embeddings and head, and compares that with Lava.  Contexts
are short, since memories are as long.  --trained: the folder of benchmarks/systems.py; what is not
there is trained a moment, for engines agree on a bad model too.
"""

from __future__ import annotations

import datetime
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import typer
from commands import BIN, command
from figures import ROOT, by_stamp, fill, found_models, machine
from safetensors.numpy import load_file, save_file
from systems import DOCS, NAMES, Row, sources

RECORD = ROOT / "benchmarks" / "engines.json"
CONTEXT = 16
MOMENT = ("--updates", 3)
TOKENS = {"step": 4, "lava": 2}
LAYERS = ("num_hidden_layers", "n_layer")
LATER = re.compile(r"(?:^|\.)[1-9]\d*\.")  # tensors of the second layer and on


def main(
    data: Path = ROOT.parent / "shared" / "data", only: str = "", trained: Path | None = None
) -> None:
    """Compare, and write benchmarks/engines.json and the table of docs/systems.md."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model in found_models(data):
            if only in model["name"]:
                wanted = sources(model, NAMES, data, folder, trained or folder, MOMENT)
                read = ("--calibrate", model["calibrate"], "--context", CONTEXT)
                rows = {
                    of: compared(source, (*read, *options), folder)
                    for of, (source, options) in wanted.items()
                }
                keep(model["name"], rows)


def compared(source: Path, options: tuple[Any, ...], folder: Path) -> Row:
    """Spikes that both engines sent alike: of the whole model, and of its first layer in Lava."""
    print(source.name, *options, flush=True)
    return {
        "step": spikes_alike(source, options, "step", folder),
        "lava": spikes_alike(first_layer(source, folder), options, "lava", folder),
    }


def spikes_alike(source: Path, options: tuple[Any, ...], backend: str, folder: Path) -> int:
    """How many spikes were compared; the benchmark ends at one that differs."""
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
    """The checkpoint without its other layers."""
    cut = folder / "first_layer"
    shutil.rmtree(cut, ignore_errors=True)
    shutil.copytree(source, cut)
    config = json.loads((cut / "config.json").read_text())
    config |= {key: 1 for key in LAYERS if key in config}
    (cut / "config.json").write_text(json.dumps(config))
    for path in cut.glob("*.safetensors"):
        kept = {name: x for name, x in load_file(path).items() if not LATER.search(name)}
        path.unlink()
        save_file(kept, path, metadata={"format": "pt"})
    return cut


def keep(name: str, rows: dict[str, Row]) -> None:
    """Into the record and the page, in the place of what was compared before."""
    figures = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    stamp = f"{datetime.date.today().isoformat()}, {machine()}"
    figures[name] = {"stamp": stamp, "rows": rows}
    RECORD.write_text(json.dumps(figures, indent=1) + "\n")
    fill(DOCS, {"engines": table(figures)})


def table(figures: dict[str, Any]) -> str:
    systems = dict.fromkeys(of for made in figures.values() for of in made["rows"])
    lines = [f"| system | {' | '.join(figures)} |", f"|{'---|' * (len(figures) + 1)}"]
    for system in systems:
        cells = [cell(made["rows"].get(system)) for made in figures.values()]
        lines.append(f"| {system} | {' | '.join(cells)} |")
    stamps = by_stamp({name: made["stamp"] for name, made in figures.items()})
    said = "; ".join(f"{', '.join(names)}: {stamp}" for stamp, names in stamps)
    return "\n".join(lines) + f"\n\nCompared by `benchmarks/engines.py`; {said}."


def cell(row: Row | None) -> str:
    return "-" if row is None else f"{row['step']:,} / {row['lava']:,}"


if __name__ == "__main__":
    typer.run(main)

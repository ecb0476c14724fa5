"""FAS from fine-tuning to netlist: perplexity of the float, the tuned and the spiking model.

    python benchmarks/fas.py [--data ../shared/data] [--only shakespeare]

las-finetune, las-compile and las-eval with their usual options; docs/systems.md.
"""

from __future__ import annotations

import datetime
import json
import tempfile
from pathlib import Path
from typing import Any

import typer
from commands import command
from figures import ROOT, fill, found_models, machine

RECORD = ROOT / "benchmarks" / "fas.json"
TUNED = ("stories260K", "gpt2_shakespeare_char")
Row = dict[str, Any]


def main(data: Path = ROOT.parent / "shared" / "data", only: str = "") -> None:
    """Measure; what was measured of other models before stays."""
    figures = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    with tempfile.TemporaryDirectory() as folder:
        for model in found_models(data):
            if model["name"] in TUNED and only in model["name"]:
                figures[model["name"]] = measure(model, Path(folder))
    RECORD.write_text(json.dumps(figures, indent=1) + "\n")
    fill(ROOT / "docs" / "systems.md", {"fas": table(figures)})


def measure(model: Row, folder: Path) -> Row:
    tuned, net = folder / "tuned", folder / "fas.h5"
    made = command("las-finetune", model["model"], "--text", model["text"], "-o", tuned)
    command("las-compile", tuned, "-o", net, "--system", "fas", "--calibrate", model["calibrate"])
    found = command("las-eval", net, "--text", model["text"], "--reference", tuned)
    stamp = f"{datetime.date.today().isoformat()}, {machine()}"
    return {"tuned": made | {"folder": tuned.name}, "eval": found, "stamp": stamp}


def table(figures: dict[str, Row]) -> str:
    lines = [
        "| model | held-out text: float | activations swapped | fine-tuned, T = 8"
        " | 4,096 tokens: tuned float | netlist | rise | measured by `benchmarks/fas.py` |",
        f"|{'---|' * 8}",
    ]
    for name, row in figures.items():
        before, found = row["tuned"]["measured"], row["eval"]
        rise = found["perplexity"] / found["reference_perplexity"] - 1
        lines.append(
            f"| {name} | {before['float']:.4f} | {before['qcfs_before']:.2f}"
            f" | {before['spiking']:.4f} | {found['reference_perplexity']:.4f}"
            f" | {found['perplexity']:.4f} | {rise:+.2%} | {row['stamp']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)

"""FAS from fine-tuning to netlist: perplexity of the float, tuned and spiking model.

    python benchmarks/fas.py [--data ../shared/data] [--only shakespeare]

Runs las-finetune, las-compile and las-eval with default options; writes a table of docs/systems.md.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import typer
from accuracy import rise
from commands import command
from markdown import table as markdown_table
from models import DATA, available_models
from record import ROOT, Row, fill, load, machine, save, today

RECORD = ROOT / "benchmarks" / "fas.json"
TUNED = ("stories260K", "gpt2_shakespeare_char")


def main(data: Path = DATA, only: str = "") -> None:
    """Measure; figures of models that are not measured now are kept."""
    figures = load(RECORD)
    with tempfile.TemporaryDirectory() as folder:
        for model in available_models(data):
            if model["name"] in TUNED and only in model["name"]:
                figures[model["name"]] = measure(model, Path(folder))
    save(RECORD, figures)
    fill(ROOT / "docs" / "systems.md", {"fas": table(figures)})


def measure(model: Row, folder: Path) -> Row:
    tuned, net = folder / "tuned", folder / "fas.h5"
    training = command("las-finetune", model["model"], "--text", model["text"], "-o", tuned)
    command("las-compile", tuned, "-o", net, "--system", "fas", "--calibrate", model["calibrate"])
    figures = command("las-eval", net, "--text", model["text"], "--reference", tuned)
    stamp = f"{today()}, {machine()}"
    return {"tuned": training | {"folder": tuned.name}, "eval": figures, "stamp": stamp}


def table(figures: dict[str, Row]) -> str:
    heads = (
        *("model", "held-out text: float", "activations swapped", "fine-tuned, T = 8"),
        *("4,096 tokens: tuned float", "netlist", "rise", "measured by `benchmarks/fas.py`"),
    )
    return markdown_table(heads, (cells(name, row) for name, row in figures.items()))


def cells(name: str, row: Row) -> tuple[str, ...]:
    heldout, netlist = row["tuned"]["measured"], row["eval"]
    return (
        name,
        f"{heldout['float']:.4f}",
        f"{heldout['qcfs_before']:.2f}",
        f"{heldout['spiking']:.4f}",
        f"{netlist['reference_perplexity']:.4f}",
        f"{netlist['perplexity']:.4f}",
        f"{rise(netlist):+.2%}",
        row["stamp"],
    )


if __name__ == "__main__":
    typer.run(main)

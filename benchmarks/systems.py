"""Every system on the same models and texts, measured by the user's commands; docs/systems.md.

    python benchmarks/systems.py [--data ../shared/data] [--only tiny] [--system SDLLM ...]

Compiles each model with each system; `las-eval --compare` then measures all netlists of a model.
--only selects models, --system selects rows besides the first; figures of the others are kept.  FAS
and SpikeLM compile models of their own, trained here from the float model on text that is not
measured.  --trained: a folder that keeps these models for the next run.  Training all-MiniLM-L6-v2
with its 22 million weights takes half an hour for each.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from accuracy import training_sentences, unseen_sentences
from commands import command
from markdown import table as markdown_table
from models import DATA, ENCODER, TINY, available_models
from record import ROOT, Row, by_stamp, fill, load, machine, save, today

from hwsim.accounts.side_by_side import pareto

sys.path.append(str(ROOT / "examples"))
from train_tiny_lm import split_corpus, topics

RECORD = ROOT / "benchmarks" / "systems.json"
DOCS = ROOT / "docs" / "systems.md"
SYSTEMS: dict[str, tuple[Any, ...]] = {
    "LAS, T = 16": ("--system", "las"),
    "LAS, T = 8": ("--system", "las", "--steps", 8),
    "LAS, signed digits": ("--system", "las", "--code", "signed-digit"),
    "LAS, graded": ("--system", "las", "--code", "graded"),
    "phase, T = 8": ("--system", "phase"),
    "phase as LAS published, T = 8": ("--system", "phase", "--option", "published=true"),
    "SDLLM, bitwise, clip 63": ("--system", "sdllm"),
    "SDLLM, ternary, k = 3, clip 15": (
        *("--system", "sdllm", "--option", "train=ternary", "--option", "k=3"),
        *("--steps", 15),
    ),
    "plain W4A4": ("--system", "spikellm", "--steps", 1),
    "SpikeLLM W4, T = 2": ("--system", "spikellm", "--steps", 2),
    "SpikeLLM W4, T = 4": ("--system", "spikellm", "--steps", 4),
    "SpikeLLM W4, T = 4, published GIF": (
        *("--system", "spikellm", "--steps", 4, "--option", "published=true"),
    ),
}
TRAINED = {"FAS, T = 8, trained": "fas", "SpikeLM, T = 4, trained": "spikelm"}
NAMES = (*SYSTEMS, *TRAINED)
TRAINING = {  # a narrow model needs more updates; a wide one would take too long
    ("stories260K", "spikelm"): ("--updates", 1500, "--lr", 3e-3),
    (ENCODER, "spikelm"): ("--updates", 200, "--lr", 3e-4),
}
MEASURED = 40_000  # first characters of a text, which are measured and not trained on


def main(
    data: Path = DATA,
    only: str = "",
    system: Annotated[
        list[str] | None, typer.Option(help="Part of a row's name; default: all rows.")
    ] = None,
    trained: Path | None = None,
) -> None:
    """Measure, and write benchmarks/systems.json, the tables of docs/systems.md and README."""
    with tempfile.TemporaryDirectory() as folder:
        store = trained or Path(folder)
        for model in available_models(data):
            if only in model["name"]:
                keep(model["name"], measure(model, system or [""], data, Path(folder), store))


def keep(name: str, rows: list[Row]) -> None:
    """Replace these rows of a model in the record and on the pages."""
    figures = load(RECORD)
    index = {row["name"]: row for row in figures.get(name, [])} | {row["name"]: row for row in rows}
    rows = [index[system] for system in NAMES if system in index]
    front = pareto([(row["synaptic_events_per_token"], error(row)) for row in rows])
    figures[name] = [row | {"pareto": i in front} for i, row in enumerate(rows)]
    save(RECORD, figures)
    print(table(figures[name]))
    tables = {f"systems-{name.split()[0]}": f"{table(figures[name])}\n\n{name}; {stamps(rows)}."}
    for path in (DOCS, ROOT / "README.md"):
        fill(path, tables)


def error(row: Row) -> float:
    return float(row["mean_kl"] if "mean_kl" in row else row["mean_cosine_error"])


def stamps(rows: list[Row]) -> str:
    """When and where most rows were measured, and which rows at another time or place."""
    groups = by_stamp({row["name"]: (row["day"], row["machine"]) for row in rows})
    ((day, where), _), *others = groups
    sentences = [f"measured {day} by `benchmarks/systems.py`: {where}"]
    for (then, there), names in others:
        sentences.append(f"{then}{'' if there == where else f' on {there}'}: {'; '.join(names)}")
    return ". ".join(sentences)


def measure(model: Row, systems: list[str], data: Path, folder: Path, trained: Path) -> list[Row]:
    """One row per system, all measured in one call on the same tokens."""
    print(f"systems on {model['name']}")
    names = [name for name in NAMES if name == NAMES[0] or any(part in name for part in systems)]
    checkpoints = sources(model, names, data, folder, trained)
    nets = []
    for name, (source, options) in checkpoints.items():
        nets.append(folder / f"{name}.h5".replace(" ", "_"))
        command("las-compile", source, "-o", nets[-1], "--calibrate", model["calibrate"], *options)
    encoder = model["name"] == ENCODER
    text = unseen_sentences(data / "texts", folder) if encoder else model["text"]
    others = [word for net in nets[1:] for word in ("--compare", net)]
    reading = ("--text", text, "--reference", model["model"])
    evaluated = command("las-eval", nets[0], *others, *reading)["netlists"]
    stamp = {"day": today(), "machine": machine()}
    return [row | {"name": name, **stamp} for name, row in zip(checkpoints, evaluated, strict=True)]


def sources(
    model: Row,
    names: Iterable[str],
    data: Path,
    folder: Path,
    trained: Path,
    training: tuple[Any, ...] | None = None,
) -> dict[str, tuple[Path, tuple[Any, ...]]]:
    """The checkpoint that each system compiles, and las-compile's options; trains missing ones.

    training: options for both trainers; None: those of the measured models.
    """
    checkpoints = {}
    for name in names:
        if name in SYSTEMS:
            checkpoints[name] = model["model"], SYSTEMS[name]
            continue
        system = TRAINED[name]
        out = trained / f"{model['name'].split()[0]}-{system}"
        if not out.exists():
            train(model, system, training_text(model, data, folder), out, training)
        checkpoints[name] = out, ("--system", system)
    return checkpoints


def train(model: Row, system: str, text: Path, out: Path, training: tuple[Any, ...] | None) -> None:
    """Train the model with a system's neurons and write it to folder `out`."""
    options = ("--text", text, *(training or TRAINING.get((model["name"], system), ())))
    if system == "fas":
        command("las-finetune", model["model"], "-o", out, *options)
    else:
        script = ROOT / "examples" / "train_spikelm.py"
        words = (sys.executable, script, out, "--model", model["model"], *options)
        subprocess.run([str(word) for word in words], check=True)


def training_text(model: Row, data: Path, folder: Path) -> Path:
    """Text like the measured text, without the measured part."""
    if model["name"] == ENCODER:
        return training_sentences(data / "texts", folder)
    text = folder / "train.txt"
    bundled = model["model"] == TINY
    text.write_text(split_corpus(topics)[0] if bundled else model["text"].read_text()[MEASURED:])
    return text


def table(rows: list[Row]) -> str:
    scored = "perplexity" in rows[0]
    accuracy = ("perplexity (rise)", "top-1", "mean KL")
    heads = (
        *("system", *(accuracy if scored else ("1 - cosine", "similarity error"))),
        *("spikes / input", "SynOps / token", "energy ratio as papers count / everything"),
        *("time steps / token", "cores", "clamps"),
    )
    return markdown_table(heads, (cells(row) for row in rows))


def cells(row: Row) -> tuple[str, ...]:
    """A row's cells; bold: no other row has both less error and fewer synaptic events."""
    if "perplexity" in row:
        accuracy: tuple[str, ...] = (
            f"{row['perplexity']:.3f} ({row['perplexity_rise']:+.2%})",
            f"{row['top1_agreement']:.1%}",
            f"{row['mean_kl']:.1e}",
        )
    else:
        accuracy = f"{row['mean_cosine_error']:.1e}", f"{row['max_similarity_error']:.1e}"
    paper = row["energy_ratios"]["las_paper_style"]
    return (
        f"**{row['name']}**" if row["pareto"] else row["name"],
        *accuracy,
        f"{row['spikes_per_input']:.2f}",
        f"{row['synaptic_events_per_token']:,.0f}",
        f"{paper['paper']:.2f} / {paper['full']:.1f}",
        f"{row['steps_per_token']:,}",
        f"{row['cores']:,}",
        f"{row['clamps']:,}",
    )


if __name__ == "__main__":
    typer.run(main)

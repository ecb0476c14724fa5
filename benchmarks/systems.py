"""Every system on the same models and texts, by the commands a user has; docs/systems.md.

    python benchmarks/systems.py [--data ../shared/data] [--only tiny]

Compiles each model with each system, then has `las-eval --compare` measure all of them.  --only
measures some of the models; what was measured of the others stays.  FAS and SpikeLM compile models
of their own, trained here from the float one on text that is not measured: --trained keeps them,
and a second run finds them there.  MiniLM's 22 million weights take half an hour each.
"""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import typer
from accuracy import ENCODER, training_sentences, unseen_sentences
from commands import command
from figures import ROOT, TINY, fill, found_models, machine

sys.path.append(str(ROOT / "examples"))
from train_tiny_lm import split_corpus, topics

Row = dict[str, Any]
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
LENGTH = {  # a narrow model needs more updates, a wide one has no time for them
    "stories260K": ("--updates", 1500, "--lr", 3e-3),
    ENCODER: ("--updates", 200, "--lr", 3e-4),
}
MEASURED = 40_000  # characters of a text that is measured and not trained on


def main(
    data: Path = ROOT.parent / "shared" / "data", only: str = "", trained: Path | None = None
) -> None:
    """Measure, and write benchmarks/systems.json, the tables of docs/systems.md and README."""
    with tempfile.TemporaryDirectory() as folder:
        kept = trained or Path(folder)
        for model in found_models(data):
            if only in model["name"]:
                keep(model["name"], measure(model, data, Path(folder), kept))


def keep(name: str, rows: list[Row]) -> None:
    """Into the record and the pages, in the place of what was measured before."""
    figures = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    stamp = f"measured {datetime.date.today().isoformat()} by `benchmarks/systems.py`: {machine()}."
    figures[name] = {"stamp": stamp, "rows": rows}
    RECORD.write_text(json.dumps(figures, indent=1) + "\n")
    print(table(rows))
    tables = {f"systems-{name.split()[0]}": f"{table(rows)}\n\n{name}, {stamp}"}
    for path in (DOCS, ROOT / "README.md"):
        fill(path, tables)


def measure(model: Row, data: Path, folder: Path, trained: Path) -> list[Row]:
    """One row a system, all measured in one call on the same tokens."""
    print(f"systems on {model['name']}")
    encoder = model["name"] == ENCODER
    wanted = {name: (model["model"], options) for name, options in SYSTEMS.items()}
    for name, system in TRAINED.items():
        wanted[name] = train(model, system, data, trained, folder), ("--system", system)
    nets = []
    for name, (source, options) in wanted.items():
        nets.append(folder / f"{name}.h5".replace(" ", "_"))
        made = ("-o", nets[-1], "--calibrate", model["calibrate"], *options)
        command("las-compile", source, *made)
    text = unseen_sentences(data / "texts", folder) if encoder else model["text"]
    others = [word for net in nets[1:] for word in ("--compare", net)]
    read = ("--text", text, "--reference", model["model"])
    made = command("las-eval", nets[0], *others, *read)
    return [row | {"name": name} for name, row in zip(wanted, made["netlists"], strict=True)]


def train(model: Row, system: str, data: Path, trained: Path, folder: Path) -> Path:
    """The model with a system's own neurons in it, trained on text that is not measured."""
    made = trained / f"{model['name'].split()[0]}-{system}"
    if made.exists():
        return made
    text = training_text(model, data, folder)
    if system == "fas":
        command("las-finetune", model["model"], "--text", text, "-o", made)
    else:
        script = (sys.executable, ROOT / "examples" / "train_spikelm.py", made)
        words = (*script, "--model", model["model"], "--text", text, *LENGTH.get(model["name"], ()))
        subprocess.run([str(word) for word in words], check=True)
    return made


def training_text(model: Row, data: Path, folder: Path) -> Path:
    """Text of the kind that is measured, without what is measured."""
    if model["name"] == ENCODER:
        return training_sentences(data / "texts", folder)
    text = folder / "train.txt"
    bundled = model["model"] == TINY
    text.write_text(split_corpus(topics)[0] if bundled else model["text"].read_text()[MEASURED:])
    return text


def table(rows: list[Row]) -> str:
    scored = "perplexity" in rows[0]
    error = "perplexity (rise) | top-1 | mean KL" if scored else "1 - cosine | similarity error"
    lines = [
        f"| system | {error} | spikes / input | SynOps / token | energy ratio as papers count"
        " / everything | time steps / token | cores | clamps |",
        f"|{'---|' * (10 if scored else 9)}",
    ]
    for row in rows:
        if scored:
            near = (
                f"{row['perplexity']:.3f} ({row['perplexity_rise']:+.2%})"
                f" | {row['top1_agreement']:.1%} | {row['mean_kl']:.1e}"
            )
        else:
            near = f"{row['mean_cosine_error']:.1e} | {row['max_similarity_error']:.1e}"
        paper = row["energy_ratios"]["las_paper_style"]
        best = "**" if row["pareto"] else ""
        lines.append(
            f"| {best}{row['name']}{best} | {near} | {row['spikes_per_input']:.2f}"
            f" | {row['synaptic_events_per_token']:,.0f}"
            f" | {paper['paper']:.2f} / {paper['full']:.1f}"
            f" | {row['steps_per_token']:,} | {row['cores']:,} | {row['clamps']:,} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)

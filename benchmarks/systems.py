"""Every system on the same models and texts, by the commands a user has; docs/systems.md.

    python benchmarks/systems.py [--data ../shared/data] [--only tiny] [--system SDLLM ...]

Compiles each model with each system, then has `las-eval --compare` measure all of them.  --only
measures some of the models, --system some of the rows beside the first; what was measured of the
others stays.  FAS and SpikeLM compile models of their own, trained here from the float one on text
that is not measured: --trained keeps them, and a second run finds them there.  MiniLM's 22 million
weights take half an hour each.
"""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from accuracy import ENCODER, training_sentences, unseen_sentences
from commands import command
from figures import ROOT, TINY, by_stamp, fill, found_models, machine

from hwsim.accounts.side_by_side import pareto

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
NAMES = (*SYSTEMS, *TRAINED)
LENGTH = {  # a narrow model needs more updates, a wide one has no time for them
    ("stories260K", "spikelm"): ("--updates", 1500, "--lr", 3e-3),
    (ENCODER, "spikelm"): ("--updates", 200, "--lr", 3e-4),
}
MEASURED = 40_000  # characters of a text that is measured and not trained on


def main(
    data: Path = ROOT.parent / "shared" / "data",
    only: str = "",
    system: Annotated[list[str] | None, typer.Option(help="In a row's name; none: all.")] = None,
    trained: Path | None = None,
) -> None:
    """Measure, and write benchmarks/systems.json, the tables of docs/systems.md and README."""
    with tempfile.TemporaryDirectory() as folder:
        kept = trained or Path(folder)
        for model in found_models(data):
            if only in model["name"]:
                keep(model["name"], measure(model, system or [""], data, Path(folder), kept))


def keep(name: str, rows: list[Row]) -> None:
    """Into the record and the pages, in the place of what was measured before."""
    figures = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    known = {row["name"]: row for row in figures.get(name, [])} | {row["name"]: row for row in rows}
    rows = [known[of] for of in NAMES if of in known]
    front = pareto([(row["synaptic_events_per_token"], error(row)) for row in rows])
    figures[name] = [row | {"pareto": i in front} for i, row in enumerate(rows)]
    RECORD.write_text(json.dumps(figures, indent=1) + "\n")
    print(table(figures[name]))
    tables = {f"systems-{name.split()[0]}": f"{table(figures[name])}\n\n{name}; {stamps(rows)}."}
    for path in (DOCS, ROOT / "README.md"):
        fill(path, tables)


def error(row: Row) -> float:
    return float(row["mean_kl"] if "mean_kl" in row else row["mean_cosine_error"])


def stamps(rows: list[Row]) -> str:
    """When and where most rows were measured, and which were at another time."""
    found = by_stamp({row["name"]: (row["day"], row["machine"]) for row in rows})
    ((day, where), _), *others = found
    said = [f"measured {day} by `benchmarks/systems.py`: {where}"]
    for (then, there), names in others:
        said.append(f"{then}{'' if there == where else f' on {there}'}: {'; '.join(names)}")
    return ". ".join(said)


def measure(model: Row, systems: list[str], data: Path, folder: Path, trained: Path) -> list[Row]:
    """One row a system, all measured in one call on the same tokens."""
    print(f"systems on {model['name']}")
    names = [of for of in NAMES if of == NAMES[0] or any(word in of for word in systems)]
    wanted = sources(model, names, data, folder, trained)
    nets = []
    for name, (source, options) in wanted.items():
        nets.append(folder / f"{name}.h5".replace(" ", "_"))
        made = ("-o", nets[-1], "--calibrate", model["calibrate"], *options)
        command("las-compile", source, *made)
    encoder = model["name"] == ENCODER
    text = unseen_sentences(data / "texts", folder) if encoder else model["text"]
    others = [word for net in nets[1:] for word in ("--compare", net)]
    read = ("--text", text, "--reference", model["model"])
    made = command("las-eval", nets[0], *others, *read)
    stamp = {"day": datetime.date.today().isoformat(), "machine": machine()}
    return [
        row | {"name": name, **stamp} for name, row in zip(wanted, made["netlists"], strict=True)
    ]


def sources(
    model: Row,
    names: Iterable[str],
    data: Path,
    folder: Path,
    trained: Path,
    length: tuple[Any, ...] | None = None,
) -> dict[str, tuple[Path, tuple[Any, ...]]]:
    """What is compiled by each system, and las-compile's options; trains what has to be.

    length: other options of both trainers than those that are measured.
    """
    wanted = {}
    for name in names:
        if name in SYSTEMS:
            wanted[name] = model["model"], SYSTEMS[name]
            continue
        system = TRAINED[name]
        made = trained / f"{model['name'].split()[0]}-{system}"
        if not made.exists():
            train(model, system, training_text(model, data, folder), made, length)
        wanted[name] = made, ("--system", system)
    return wanted


def train(model: Row, system: str, text: Path, made: Path, length: tuple[Any, ...] | None) -> None:
    """The model with a system's own neurons in it, trained on text that is not measured."""
    read = ("--text", text, *(length or LENGTH.get((model["name"], system), ())))
    if system == "fas":
        command("las-finetune", model["model"], "-o", made, *read)
    else:
        script = ROOT / "examples" / "train_spikelm.py"
        words = (sys.executable, script, made, "--model", model["model"], *read)
        subprocess.run([str(word) for word in words], check=True)


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

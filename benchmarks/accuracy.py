"""How near a netlist stays to its float model on text that was not used to calibrate it.

In: the models of models.py.  Out: one row per netlist (one weight plane, two, an error budget; for
an encoder also other calibration texts), and those rows as tables.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

from commands import command
from markdown import table
from models import ENCODER
from record import Row

BUDGET = 1e-3
BUDGETED = ("stories260K",)  # an encoder of 6 layers would take longer than all the others
ONE, TWO = "one weight plane", "two weight planes"
WITHIN = f"error budget {BUDGET:g}"
OTHER, NONE = "one plane, calibrated on Python's manual", "one plane, without `--calibrate`"
SENTENCES = 256
AUDITED = 512  # tokens


def with_unseen_text(models: list[Row], data: Path, folder: Path) -> list[Row]:
    """These models and a model of names, each calibrated on one text and evaluated on another."""
    texts, rows = data / "texts", []
    for model in models:
        if model["name"] == ENCODER:
            rows.append(model | {"text": unseen_sentences(texts, folder)})
        elif model["calibrate"] == model["text"]:
            _, second = halves(model["text"], folder)
            rows.append(model | {"calibrate": second})
        else:
            rows.append(model)
    names = data / "makemore_names" / "hf"
    if names.is_dir():
        text, second = halves(texts / "names_test_even.txt", folder)
        row = {"name": "makemore_names", "model": names, "calibrate": second, "text": text}
        rows.append(row | {"reading": ("--lines",)})
    return rows


def halves(text: Path, folder: Path) -> tuple[Path, Path]:
    """The first and the second half of a text's lines."""
    lines = text.read_text().splitlines(keepends=True)
    middle = len(lines) // 2
    paths = folder / f"{text.stem}_first.txt", folder / f"{text.stem}_second.txt"
    for path, half in zip(paths, (lines[:middle], lines[middle:]), strict=True):
        path.write_text("".join(half))
    return paths


def unseen_sentences(texts: Path, folder: Path) -> Path:
    """Sentences of the STS benchmark that are not used for calibration."""
    calibration = set((texts / "sts_sentences.txt").read_text().splitlines())
    unseen = [sentence for sentence in sts_sentences(texts) if sentence not in calibration]
    return sample(unseen, folder / "unseen.txt")


def sts_sentences(texts: Path) -> list[str]:
    """All sentences of the STS benchmark, each once."""
    rows = (texts / "stsb_dev.csv").read_text().splitlines()
    return list(dict.fromkeys(sentence for row in rows for sentence in row.split("\t")[5:7]))


def training_sentences(texts: Path, folder: Path) -> Path:
    """Sentences to train an encoder on: the rest of STS, film reviews, school questions."""
    evaluation = set(unseen_sentences(texts, folder).read_text().splitlines())
    evaluation |= set((texts / "sts_sentences.txt").read_text().splitlines())
    sentences = sts_sentences(texts)
    reviews = (texts / "sst2_dev_even.tsv").read_text().splitlines()[1:]
    sentences += [row.split("\t")[0] for row in reviews]
    for name in ("arc_easy_test_even.jsonl", "piqa_valid_even.jsonl"):
        for row in map(json.loads, (texts / name).read_text().splitlines()):
            sentences += [" ".join(text.split()) for text in (row["query"], *row["choices"])]
    path = folder / "training.txt"
    path.write_text("\n".join(s for s in dict.fromkeys(sentences) if s not in evaluation) + "\n")
    return path


def manual_sentences(folder: Path) -> Path:
    """Sentences of the Python manual, which is part of the interpreter: text of another domain."""
    sentences: list[str] = []
    for _, topic in sorted(topics.items()):
        for paragraph in re.split(r"\n\s*\n", topic):
            sentences += re.split(r"(?<=[.:]) ", " ".join(paragraph.split()))
    medium = [sentence for sentence in sentences if 30 < len(sentence) < 200]
    return sample(medium, folder / "manual.txt")


def sample(sentences: list[str], path: Path) -> Path:
    """Write SENTENCES of them, chosen with a fixed seed, one per line."""
    random.Random(1).shuffle(sentences)
    path.write_text("\n".join(sentences[:SENTENCES]) + "\n")
    return path


def netlists(model: Row, folder: Path) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The netlists measured for a model: their names, and the options of las-compile."""
    calibrated = ("--calibrate", model["calibrate"])
    yield ONE, calibrated
    yield TWO, (*calibrated, "--weight-planes", 2)
    if model["name"] in BUDGETED:
        yield WITHIN, (*calibrated, "--error-budget", BUDGET)
    if model["name"] == ENCODER:
        yield OTHER, ("--calibrate", manual_sentences(folder))
        yield NONE, ()


def measure(model: Row, folder: Path) -> list[Row]:
    """One row per netlist; with spikes where an error budget is compared with the default."""
    print(f"accuracy of {model['name']}")
    net, account, rows = folder / "accuracy.h5", folder / "accuracy.json", []
    for name, options in netlists(model, folder):
        compiled = command("las-compile", model["model"], "-o", net, *options)
        reading = ("--text", model["text"], *model.get("reading", ()))
        row = {"model": model["name"], "netlist": name, "steps": compiled["steps_per_token"]}
        row["eval"] = command("las-eval", net, *reading, "--reference", model["model"])
        if compiled["error_budget"]:
            row["calibration_error"] = compiled["error_budget"]["measured"]
        if model["name"] in BUDGETED and name in (ONE, WITHIN):
            options = ("--text", model["text"], "--max-tokens", AUDITED, "-o", account)
            command("las-audit", net, *options)
            audit = json.loads(account.read_text())
            row["spikes"] = audit["total"]["spikes"] / audit["tokens"]
        rows.append(row)
    return rows


def rise(figures: Row) -> float:
    """How much higher the perplexity is than the float model's, as a share of the latter."""
    return float(figures["perplexity"] / figures["reference_perplexity"] - 1)


def tables(rows: list[Row]) -> str:
    """Decoders, encoders, and the savings of an error budget."""
    parts = [
        decoders([row for row in rows if "perplexity" in row["eval"]]),
        encoders([row for row in rows if "mean_cosine_error" in row["eval"]]),
        budgets([row for row in rows if "spikes" in row]),
    ]
    return "\n\n".join(part for part in parts if part)


def decoders(rows: list[Row]) -> str:
    heads = ("model", "netlist", "perplexity", "fp32", "rise", "top-1 agreement", "mean KL")
    return table(
        heads,
        (
            (
                row["model"],
                row["netlist"],
                f"{row['eval']['perplexity']:.5f}",
                f"{row['eval']['reference_perplexity']:.5f}",
                f"{rise(row['eval']):+.4%}",
                f"{row['eval']['top1_agreement']:.2%}",
                f"{row['eval']['mean_kl']:.1e}",
            )
            for row in rows
        ),
    )


def encoders(rows: list[Row]) -> str:
    heads = ("model", "netlist", "mean 1 - cosine", "largest error of a similarity")
    return table(
        heads,
        (
            (
                row["model"],
                row["netlist"],
                f"{row['eval']['mean_cosine_error']:.1e}",
                f"{row['eval']['max_similarity_error']:.1e}",
            )
            for row in rows
        ),
    )


def budgets(rows: list[Row]) -> str:
    heads = (
        *("model", "netlist", "error on calibration text", "error on other text"),
        *("time steps / token", "spikes / token"),
    )
    return table(heads, (budget_cells(row) for row in rows))


def budget_cells(row: Row) -> tuple[str, ...]:
    figures = row["eval"]
    error = figures["mean_kl"] if "mean_kl" in figures else figures["mean_cosine_error"]
    return (
        row["model"],
        row["netlist"] if row["netlist"] == WITHIN else "16 digits everywhere",
        f"{row['calibration_error']:.1e}" if "calibration_error" in row else "-",
        f"{error:.1e}",
        f"{row['steps']:,}",
        f"{row['spikes']:,.0f}",
    )

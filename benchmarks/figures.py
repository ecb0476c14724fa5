"""Every figure of the README and docs/figures.md, measured through the user's commands.

    python benchmarks/figures.py [--data ../shared/data]
    python benchmarks/figures.py --only stories    # accuracy of these models, printed, not written

Takes a few minutes on 2 cores.  Times are ratios to something that runs in the same call, because
absolute times depend on the machine.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import accuracy
import typer
from accuracy import rise
from commands import BIN, command
from markdown import table
from models import DATA, available_models
from record import ROOT, Row, fill, machine, save, today

PLANS = ("opt-125m", "llama-2-7b", "opt-13b", "opt-66b")


def main(data: Path = DATA, only: str = "") -> None:
    """Measure, then write benchmarks/figures.json, docs/figures.md and the README's tables."""
    with tempfile.TemporaryDirectory() as folder:
        models = available_models(data)
        near = []
        for model in accuracy.with_unseen_text(models, data, Path(folder)):
            if only in model["name"]:
                near += accuracy.measure(model, Path(folder))
        if only:
            return print(accuracy.tables(near))
        figures = {
            "date": today(),
            "machine": machine(),
            "models": [measure(model, Path(folder)) for model in models],
            "accuracy": near,
            "lava": lava(Path(folder)),
            "plans": [plan(name) for name in PLANS],
        }
    save(ROOT / "benchmarks" / "figures.json", figures)
    tables = render(figures)
    fill(ROOT / "README.md", tables)
    fill(ROOT / "docs" / "figures.md", tables)


def measure(model: Row, folder: Path) -> Row:
    """Agreement, speed and cost of a model compiled with default options."""
    print(f"measuring {model['name']}")
    net = folder / f"{model['name'].split()[0]}.h5"
    bare = folder / "uncalibrated.h5"
    compiled = command("las-compile", model["model"], "-o", net, "--calibrate", model["calibrate"])
    command("las-compile", model["model"], "-o", bare)
    reference = ("--text", model["text"], "--reference", model["model"])
    row = {"name": model["name"], "compile": compiled | {"netlist": net.name}}
    row["eval"] = command("las-eval", net, *reference)
    row["eval_uncalibrated"] = command("las-eval", bare, *reference)
    row["prompts"] = {prompt: first_difference(net, prompt, model) for prompt in model["prompts"]}
    account = folder / "audit.json"
    command("las-audit", net, "--text", model["text"], "--max-tokens", 512, "-o", account)
    row["audit"] = headline(json.loads(account.read_text()))
    return row


def first_difference(net: Path, prompt: str, model: Row) -> int | None:
    """The first of 64 greedy tokens that differs from the float model's."""
    options = ("--prompt", prompt, "--max-new-tokens", 64, "--reference", model["model"])
    first: int | None = command("las-run", net, *options)["reference"]["first_difference"]
    return first


def headline(audit: Row) -> Row:
    """The figures of an audit that the tables show."""
    tokens, total = audit["tokens"], audit["total"]
    events = total["event_add"] + total["event_multiply"]
    return {
        "spikes_per_token": total["spikes"] / tokens,
        "events_per_token": events / tokens,
        "spikes_per_input": audit["comparison"]["spikes_per_input"],
        "ratios": audit["comparison"]["ratios"],
        "trouble": total.get("clamps", 0) + total.get("wraps", 0),
    }


def lava(folder: Path) -> Row | None:
    """Seconds for one token of the bundled model on Lava, beside the step engine."""
    if importlib.util.find_spec("lava") is None:
        return None
    net = folder / "tiny_lm.h5"
    options = ("--tokens", "5", "--max-new-tokens", 1, "--check-tokens", 1)
    seconds: Row = {}
    for backend in ("fast", "step", "lava"):
        seconds[backend] = command("las-run", net, *options, "--backend", backend)["seconds"]
    return seconds


def plan(name: str) -> Row:
    """`las-compile --plan`: its figures, wall time and largest memory."""
    run = [BIN / "las-compile", ROOT / "benchmarks" / "configs" / name, "--plan", "--json"]
    started = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(run, stdout=output)
        _, status, use = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        figures: Row = json.loads(output.read())
    figures |= {"name": name, "seconds": time.perf_counter() - started, "mb": use.ru_maxrss / 1024}
    figures.pop("layers")
    return figures


def render(figures: Row) -> dict[str, str]:
    """The tables by name."""
    stamp = f"\n\nMeasured {figures['date']} by `benchmarks/figures.py`: {figures['machine']}."
    return {
        "agreement": agreement(figures["models"], figures["accuracy"]) + stamp,
        "accuracy": accuracy.tables(figures["accuracy"]),
        "date": stamp.strip(),
        "cost": cost(figures["models"]),
        "speed": speed(figures),
        "plans": plans(figures["plans"]),
    }


def agreement(models: list[Row], near: list[Row]) -> str:
    heads = (
        *("model", "calibrated on a text", "without `--calibrate`"),
        *("`--weight-planes 2`, other text", "greedy: first of 64 tokens that differs"),
        "cores / chips",
    )
    doubled = {row["model"]: row["eval"] for row in near if row["netlist"] == accuracy.TWO}
    return table(heads, (agreement_cells(row, doubled[row["name"]]) for row in models))


def agreement_cells(row: Row, doubled: Row) -> tuple[str, ...]:
    """doubled: figures of the netlist with two weight planes."""
    differs = ", ".join("none" if n is None else str(n) for n in row["prompts"].values())
    compiled = row["compile"]
    return (
        row["name"],
        closeness(row["eval"]),
        closeness(row["eval_uncalibrated"]),
        closeness(doubled),
        differs or "-",
        f"{compiled['cores']} / {compiled['chips']} ({compiled['target']})",
    )


def closeness(figures: Row) -> str:
    """Perplexity against fp32, or the error of embeddings."""
    if "mean_cosine_error" in figures:
        return (
            f"1 - cosine {figures['mean_cosine_error']:.1e},"
            f" similarity within {figures['max_similarity_error']:.1e}"
        )
    perplexities = f"{figures['perplexity']:.4f} / {figures['reference_perplexity']:.4f}"
    return (
        f"perplexity {perplexities} ({rise(figures):+.3%}),"
        f" top-1 {figures['top1_agreement']:.2%}, KL {figures['mean_kl']:.1e}"
    )


def cost(models: list[Row]) -> str:
    heads = (
        *("model", "spikes / token", "synaptic events / token", "spikes per synaptic input"),
        "energy ratio to the ANN: as papers count / without idle steps / everything",
        "clamps + wraps",
    )
    return table(heads, (cost_cells(row["name"], row["audit"]) for row in models))


def cost_cells(name: str, audit: Row) -> tuple[str, ...]:
    paper = next(r for r in audit["ratios"] if r["profile"] == "las_paper_style")
    return (
        name,
        f"{audit['spikes_per_token']:,.0f}",
        f"{audit['events_per_token']:,.0f}",
        f"{audit['spikes_per_input']:.2f}",
        " / ".join(f"{paper[key]:.3g}" for key in ("paper", "active", "full")),
        f"{audit['trouble']}",
    )


def speed(figures: Row) -> str:
    heads = ("model", "fast engine's time / fp32 model's, same tokens, same call")
    ratios = (
        (row["name"], f"{row['eval']['seconds'] / row['eval']['reference_seconds']:.1f}")
        for row in figures["models"]
    )
    text = table(heads, ratios)
    seconds = figures["lava"]
    if seconds:
        text += (
            "\n\nOne token of the bundled model, context 256, start-up included:"
            " Lava's CPU simulator takes"
            f" {seconds['lava'] / seconds['step']:.0f} times the step engine's time."
        )
    return text


def plans(rows: list[Row]) -> str:
    heads = (
        *("model", "cores (for weights alone)", "chips", "steps / token"),
        *("latency / token, estimate", "fits", "planned in"),
    )
    return table(heads, (plan_cells(row) for row in rows))


def plan_cells(row: Row) -> tuple[str, ...]:
    return (
        row["name"],
        f"{row['cores']:,} ({row['weight_cores']:,})",
        f"{row['chips']:,}",
        f"{row['latency']['steps']:,}",
        f"{row['latency']['total_us'] / 1e3:,.1f} ms",
        row["target"] if row["fits"] else f"no: {row['advice']}",
        f"{row['seconds']:.1f} s, {row['mb']:,.0f} MB",
    )


if __name__ == "__main__":
    typer.run(main)

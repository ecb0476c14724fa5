"""The length of a spike code against its error: docs/codes.svg and the tables of docs/codes.md.

    python benchmarks/codes.py [--data ../shared/data] [--tokens 600] [--models tiny_lm,...]

Each model is calibrated and its weights are rounded once; then its encoders get each code in turn,
and the netlist runs beside the float model.  Takes some ten minutes on 2 cores.  Models that are
not on the machine are left out.
"""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer

sys.path.insert(0, str(Path(__file__).parent))

from codes_figure import draw
from figures import ROOT, fill, found_models, machine

from compiler.convert import calibrated
from compiler.netlist.model import Netlist
from compiler.pipeline import build
from compiler.weights.round_weights import round_layers
from hwsim.backends.fast.engine import Engine
from hwsim.measure.evaluate import batched, log_softmax, read_sequences
from las_neuro.graph import Graph
from las_neuro.neurons.codes import FORMS
from las_neuro.reference.model import FloatModel
from las_neuro.reference.tokenizer import tokenizer_json
from las_neuro.systems.las import Las

STEPS = tuple(range(4, 17))
KNEE = 2.0  # the smallest T whose error is below this many times that of the longest code
SHOWN = (4, 6, 8, 10, 12, 16)
BY_CHANNEL = (8, 10, 12, 16)
KEPT = ROOT / "benchmarks" / "codes.json"


@dataclass(frozen=True)
class Point:
    """One code on one model."""

    steps: int
    form: str
    ranges: int
    channel_steps: bool
    error: float  # mean KL in nats, for an encoder 1 - cosine
    spikes: float  # by value, softmax numerators left out
    synops: float  # by token
    period: int  # time steps by token
    trouble: int  # clamps and wraps


class Model:
    """A calibrated graph, the tokens it is tried on and what the float model makes of them."""

    def __init__(self, row: dict[str, Any], tokens: int) -> None:
        found = calibrated(row["model"], calibrate=row["calibrate"])
        self.name, self.folder = row["name"].split()[0], found.checkpoint.folder
        self.graph: Graph = round_layers(found.graph, found.batches)
        net = self.netlist(STEPS[-1])
        sequences = read_sequences(net, row["text"], tokens)
        self.batches = [rows for _, rows in batched(sequences, net.populations[net.output].n)]
        reference = FloatModel.load(found.checkpoint)
        self.scored = net.output_kind == "logits"
        run = reference.logits if self.scored else reference.hidden
        self.exact = [run(rows).astype(np.float64) for rows in self.batches]

    def netlist(self, steps: int, *code: Any) -> Netlist:
        net = build(Las(steps, *code).threshold(self.graph))
        net.tokenizer = tokenizer_json(self.folder)
        return net

    def point(
        self, steps: int, form: str = "binary", ranges: int = 2, channel_steps: bool = False
    ) -> Point:
        net = self.netlist(steps, form, ranges, channel_steps)
        engine = Engine(net)
        errors = []
        for rows, exact in zip(self.batches, self.exact, strict=True):
            engine.reset()
            made = engine.run(rows).cpu().numpy() * net.populations[net.output].unit
            errors.append((divergence if self.scored else distance)(made, exact))
        counted, values = engine.counters, 0
        spikes = 0
        for name, population in net.populations.items():
            if "digits" in population.params and "j" not in population.axes:
                spikes += int(counted.populations[name].spikes.sum())
                values += population.n * counted.tokens
        return Point(
            steps,
            form,
            ranges,
            channel_steps,
            float(np.concatenate(errors).mean()),
            spikes / values,
            sum(counted.events(net, group) for group in net.synapses) / counted.tokens,
            net.period,
            sum(one.clamps + one.wraps for one in counted.populations.values()),
        )


def divergence(made: Any, exact: Any) -> Any:
    """KL of each token, [B * S]."""
    ours, true = (log_softmax(x.reshape(-1, x.shape[-1])) for x in (made, exact))
    return (np.exp(true) * (true - ours)).sum(axis=1)


def distance(made: Any, exact: Any) -> Any:
    """1 - cosine of each sentence's mean, [B]."""
    ours, true = made.mean(axis=1), exact.mean(axis=1)
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(true, axis=1)
    return 1 - (ours * true).sum(axis=1) / lengths


def sweep(model: Model) -> list[Point]:
    """Every length in binary; the other forms, and steps by channel, at those that are shown."""
    points: list[Point] = []

    def measure(*one: Any) -> None:
        points.append(model.point(*one))
        print(f"{model.name} {points[-1]}", flush=True)

    for ranges in (2, 1):
        for steps in STEPS:
            measure(steps, "binary", ranges)
    for steps in sorted({*SHOWN, knee(points)}):
        for form in FORMS[1:]:
            for ranges in (2, 1):
                measure(steps, form, ranges)
    for steps in BY_CHANNEL:
        measure(steps, "binary", 2, True)
    return points


def main(
    data: Path = ROOT.parent / "shared" / "data",
    tokens: int = 600,
    models: str = "tiny_lm,stories260K",
) -> None:
    """Measure these models (others stay as benchmarks/codes.json has them), then write docs."""
    kept: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for row in found_models(data):
        if row["name"].split()[0] in models.split(","):
            model = Model(row, tokens)
            kept[model.name] = {
                "date": datetime.date.today().isoformat(),
                "machine": machine(),
                "tokens": tokens,
                "points": [asdict(point) for point in sweep(model)],
            }
            KEPT.write_text(json.dumps(kept, indent=1) + "\n")
    found = {name: [Point(**one) for one in row["points"]] for name, row in kept.items()}
    stamps = {
        f"{name} on {row['tokens']} tokens, {row['date']} ({row['machine']})"
        for name, row in kept.items()
    }
    stamp = f"\n\nMeasured by `benchmarks/codes.py`: {'; '.join(sorted(stamps))}."
    (ROOT / "docs" / "codes.svg").write_text(draw(found, {m: knee(p) for m, p in found.items()}))
    fill(ROOT / "docs" / "codes.md", {name: make(found) + stamp for name, make in TABLES.items()})


def uniform(points: list[Point], form: str = "binary", ranges: int = 2) -> list[Point]:
    """One curve, shortest code first."""
    kept = [p for p in points if (p.form, p.ranges, p.channel_steps) == (form, ranges, False)]
    return sorted(kept, key=lambda p: p.steps)


def knee(points: list[Point]) -> int:
    """The smallest T from which on the error stays below KNEE times that of the longest code."""
    curve = uniform(points)
    good = len(curve)
    while good and curve[good - 1].error < KNEE * curve[-1].error:
        good -= 1
    return curve[good].steps


def error_table(found: dict[str, list[Point]]) -> str:
    heads = [f"{name}, {r} range{'s' * (r > 1)}" for name in found for r in (2, 1)]
    lines = [f"| T | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for steps in SHOWN:
        cells = [
            f"{point.error:.1e}"
            for points in found.values()
            for ranges in (2, 1)
            for point in uniform(points, ranges=ranges)
            if point.steps == steps
        ]
        lines.append(f"| {steps} | {' | '.join(cells)} |")
    knees = ", ".join(f"T = {knee(points)} for {name}" for name, points in found.items())
    lines += ["", f"The knee, the smallest T from which on the error stays below {KNEE:g} times"]
    lines += [f"that of T = {STEPS[-1]}: {knees}."]
    return "\n".join(lines)


def form_table(found: dict[str, list[Point]]) -> str:
    lines = [
        "| model | T | form | error | spikes / value | SynOps / token | steps / token"
        " | clamps + wraps |",
        "|---" * 8 + "|",
    ]
    for name, points in found.items():
        for steps in (knee(points), STEPS[-1]):
            for form in FORMS:
                lines += [
                    f"| {name} | {p.steps} | {form} | {p.error:.1e} | {p.spikes:.2f}"
                    f" | {p.synops:,.0f} | {p.period:,} | {p.trouble} |"
                    for p in uniform(points, form)
                    if p.steps == steps
                ]
    return "\n".join(lines)


def channel_table(found: dict[str, list[Point]]) -> str:
    """Beside the spikes of an ordinary code of the same error, between two T's by logarithm."""
    lines = [
        "| model | T | error | spikes / value | SynOps / token"
        " | ordinary code of this T: error, spikes, SynOps"
        " | of this error: spikes, SynOps |",
        "|---" * 7 + "|",
    ]
    for name, points in found.items():
        curve = uniform(points)
        for p in (p for p in points if p.channel_steps):
            same = next(one for one in curve if one.steps == p.steps)
            spikes, synops = (at_error(curve, p.error, of) for of in (spikes_of, synops_of))
            lines.append(
                f"| {name} | {p.steps} | {p.error:.1e} | {p.spikes:.2f} | {p.synops:,.0f}"
                f" | {same.error:.1e}, {same.spikes:.2f}, {same.synops:,.0f}"
                f" | {spikes:.2f}, {synops:,.0f} |"
            )
    return "\n".join(lines)


def spikes_of(point: Point) -> float:
    return point.spikes


def synops_of(point: Point) -> float:
    return point.synops


def at_error(curve: list[Point], error: float, of: Callable[[Point], float]) -> float:
    """What the ordinary codes cost at an error, between the first two T's that enclose it."""
    errors = np.minimum.accumulate([p.error for p in curve])[::-1]
    costs = [of(p) for p in curve][::-1]
    return float(np.interp(np.log(error), np.log(errors), costs))


TABLES = {"codes-error": error_table, "codes-forms": form_table, "codes-channels": channel_table}

if __name__ == "__main__":
    typer.run(main)

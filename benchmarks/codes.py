"""The length of a spike code against its error: docs/codes.svg and the tables of docs/codes.md.

    python benchmarks/codes.py [--data ../shared/data] [--tokens 600] [--models tiny_lm,...]

Each model is calibrated and its weights are rounded once; then its encoders get one code after
another, and the netlist is compared with the float model.  Takes about ten minutes on 2 cores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer
from codes_figure import draw
from markdown import table
from models import DATA, available_models
from record import ROOT, fill, load, machine, save, today

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
KNEE = 2.0  # the error at the knee, at most, over that of the longest code
SHOWN = (4, 6, 8, 10, 12, 16)
BY_CHANNEL = (8, 10, 12, 16)
RECORD = ROOT / "benchmarks" / "codes.json"


@dataclass(frozen=True)
class Point:
    """One code on one model."""

    steps: int
    form: str
    ranges: int
    channel_steps: bool
    error: float  # mean KL in nats, for an encoder 1 - cosine
    spikes: float  # per value, without softmax numerators
    synops: float  # per token
    period: int  # time steps per token
    trouble: int  # clamps and wraps


class Model:
    """A calibrated graph, the tokens it is measured on and the float model's outputs for them."""

    def __init__(self, row: dict[str, Any], tokens: int) -> None:
        model = calibrated(row["model"], calibrate=row["calibrate"])
        self.name, self.folder = row["name"].split()[0], model.checkpoint.folder
        self.graph: Graph = round_layers(model.graph, model.batches)
        net = self.netlist(STEPS[-1])
        sequences = read_sequences(net, row["text"], tokens)
        self.batches = [rows for _, rows in batched(sequences, net.populations[net.output].n)]
        reference = FloatModel.load(model.checkpoint)
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
            output = engine.run(rows).cpu().numpy() * net.populations[net.output].unit
            errors.append((divergence if self.scored else distance)(output, exact))
        counters, values = engine.counters, 0
        spikes = 0
        for name, population in net.populations.items():
            if "digits" in population.params and "j" not in population.axes:
                spikes += int(counters.populations[name].spikes.sum())
                values += population.n * counters.tokens
        return Point(
            steps,
            form,
            ranges,
            channel_steps,
            float(np.concatenate(errors).mean()),
            spikes / values,
            sum(counters.events(net, group) for group in net.synapses) / counters.tokens,
            net.period,
            sum(count.clamps + count.wraps for count in counters.populations.values()),
        )


def divergence(output: Any, exact: Any) -> Any:
    """KL divergence of each token from the float model, [B * S]."""
    ours, true = (log_softmax(x.reshape(-1, x.shape[-1])) for x in (output, exact))
    return (np.exp(true) * (true - ours)).sum(axis=1)


def distance(output: Any, exact: Any) -> Any:
    """1 - cosine between the mean outputs of each sentence, [B]."""
    ours, true = output.mean(axis=1), exact.mean(axis=1)
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(true, axis=1)
    return 1 - (ours * true).sum(axis=1) / lengths


def sweep(model: Model) -> list[Point]:
    """Every length of the binary code; other forms and steps by channel at the lengths shown."""
    points: list[Point] = []

    def measure(*code: Any) -> None:
        points.append(model.point(*code))
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


def main(data: Path = DATA, tokens: int = 600, models: str = "tiny_lm,stories260K") -> None:
    """Measure these models (others stay as benchmarks/codes.json has them), then write docs."""
    record = load(RECORD)
    for row in available_models(data):
        if row["name"].split()[0] in models.split(","):
            model = Model(row, tokens)
            record[model.name] = {
                "date": today(),
                "machine": machine(),
                "tokens": tokens,
                "points": [asdict(point) for point in sweep(model)],
            }
            save(RECORD, record)
    points = {name: [Point(**point) for point in row["points"]] for name, row in record.items()}
    stamps = {
        f"{name} on {row['tokens']} tokens, {row['date']} ({row['machine']})"
        for name, row in record.items()
    }
    stamp = f"\n\nMeasured by `benchmarks/codes.py`: {'; '.join(sorted(stamps))}."
    (ROOT / "docs" / "codes.svg").write_text(draw(points, {m: knee(p) for m, p in points.items()}))
    tables = {name: render(points) + stamp for name, render in TABLES.items()}
    fill(ROOT / "docs" / "codes.md", tables)


def uniform(points: list[Point], form: str = "binary", ranges: int = 2) -> list[Point]:
    """One curve, shortest code first."""
    curve = [p for p in points if (p.form, p.ranges, p.channel_steps) == (form, ranges, False)]
    return sorted(curve, key=lambda p: p.steps)


def knee(points: list[Point]) -> int:
    """The smallest T from which on the error stays below KNEE times that of the longest code."""
    curve = uniform(points)
    good = len(curve)
    while good and curve[good - 1].error < KNEE * curve[-1].error:
        good -= 1
    return curve[good].steps


def error_table(models: dict[str, list[Point]]) -> str:
    heads = ["T", *(f"{name}, {r} range{'s' * (r > 1)}" for name in models for r in (2, 1))]
    rows = [
        [
            steps,
            *(
                f"{point.error:.1e}"
                for points in models.values()
                for ranges in (2, 1)
                for point in uniform(points, ranges=ranges)
                if point.steps == steps
            ),
        ]
        for steps in SHOWN
    ]
    knees = ", ".join(f"T = {knee(points)} for {name}" for name, points in models.items())
    return (
        f"{table(heads, rows)}\n\n"
        f"The knee, the smallest T from which on the error stays below {KNEE:g} times\n"
        f"that of T = {STEPS[-1]}: {knees}."
    )


def form_table(models: dict[str, list[Point]]) -> str:
    heads = (
        *("model", "T", "form", "error", "spikes / value", "SynOps / token", "steps / token"),
        "clamps + wraps",
    )
    rows = [
        (
            *(name, p.steps, form, f"{p.error:.1e}", f"{p.spikes:.2f}"),
            *(f"{p.synops:,.0f}", f"{p.period:,}", p.trouble),
        )
        for name, points in models.items()
        for steps in (knee(points), STEPS[-1])
        for form in FORMS
        for p in uniform(points, form)
        if p.steps == steps
    ]
    return table(heads, rows)


def channel_table(models: dict[str, list[Point]]) -> str:
    """Steps by channel, and the spikes that ordinary codes need for the same error.

    The latter are interpolated between two T, linear in the logarithm of the error.
    """
    heads = (
        *("model", "T", "error", "spikes / value", "SynOps / token"),
        *("ordinary code of this T: error, spikes, SynOps", "of this error: spikes, SynOps"),
    )
    rows = []
    for name, points in models.items():
        curve = uniform(points)
        for p in (p for p in points if p.channel_steps):
            same = next(point for point in curve if point.steps == p.steps)
            spikes, synops = (at_error(curve, p.error, of) for of in (spikes_of, synops_of))
            rows.append(
                (
                    *(name, p.steps, f"{p.error:.1e}", f"{p.spikes:.2f}", f"{p.synops:,.0f}"),
                    f"{same.error:.1e}, {same.spikes:.2f}, {same.synops:,.0f}",
                    f"{spikes:.2f}, {synops:,.0f}",
                )
            )
    return table(heads, rows)


def spikes_of(point: Point) -> float:
    return point.spikes


def synops_of(point: Point) -> float:
    return point.synops


def at_error(curve: list[Point], error: float, of: Callable[[Point], float]) -> float:
    """The cost of ordinary codes at an error, interpolated between the two T that enclose it."""
    errors = np.minimum.accumulate([p.error for p in curve])[::-1]
    costs = [of(p) for p in curve][::-1]
    return float(np.interp(np.log(error), np.log(errors), costs))


TABLES = {"codes-error": error_table, "codes-forms": form_table, "codes-channels": channel_table}

if __name__ == "__main__":
    typer.run(main)

"""convert: the first half of a compilation, from a checkpoint to a spiking graph with its codes.

    from compiler import convert
    checkpoint, graph = convert("path/to/model")

Weights stay real numbers: only `compile` rounds them, on the way to a netlist.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compiler.options import Options
from compiler.pipeline import ROUNDING, run
from compiler.task import Task
from las_neuro.checkpoint import Checkpoint
from las_neuro.graph import Graph
from las_neuro.progress import Progress, silent
from las_neuro.rows import Rows
from las_neuro.systems import System, find
from las_neuro.systems.las import Las


def convert(
    model: Path | str,
    *,
    system: System | None = None,
    calibrate: Path | str | None = None,
    context: int | None = None,
    progress: Progress = silent,
) -> tuple[Checkpoint, Graph]:
    """Open a model and make it spiking; its weights stay real numbers.

    system: one of las_neuro.systems with its options; None: LAS.
    calibrate: a text, token or image file; None: text that the model generates itself, or random
    tokens for an encoder.
    context: most tokens per sequence; None: as many as the model allows.
    progress(stage, done, of) is called during some passes.
    Raises LasError where the model or the options make the conversion impossible.
    """
    task = _task(Checkpoint.open(model), system, calibrate, context, progress)
    graph = run(task, until="choose_codes", skip=ROUNDING)
    assert task.checkpoint is not None
    return task.checkpoint, graph


@dataclass(frozen=True)
class Calibrated:
    """A spiking graph with its ranges, and the tokens (or patches) they were measured on."""

    checkpoint: Checkpoint
    graph: Graph
    batches: list[Rows]
    representative: bool


def calibrated(
    model: Path | str,
    *,
    system: System | None = None,
    calibrate: Path | str | None = None,
    context: int | None = None,
    progress: Progress = silent,
) -> Calibrated:
    """As `convert`, but only up to calibration: encoders have no codes yet."""
    checkpoint = Checkpoint.open(model)
    task = _task(checkpoint, system, calibrate, context, progress)
    graph = run(task, until="calibrate")
    return Calibrated(checkpoint, graph, task.batches, task.representative)


def coded(
    calibrated: Calibrated,
    planes: int = Options.weight_planes,
    steps: int = Las.steps,
    code: str = Las.code,
) -> Graph:
    """A calibrated graph with LAS's rounded weights and codes, as a compilation makes them.

    planes: int8 synapse groups per weight matrix, 1 or 2.  steps: binary digits per value.
    code: one of las_neuro.neurons.codes.FORMS.
    """
    options = Options(weight_planes=planes, steps=steps, code=code)
    task = Task(calibrated.checkpoint, options, options.method)
    task.batches, task.representative = calibrated.batches, calibrated.representative
    graph: Graph = run(task, calibrated.graph, first="set_planes", until="choose_codes")
    return graph


def plan_graph(
    config: Path | str, context: int | None = None, *, system: System | None = None
) -> Graph:
    """The spiking graph of a config.json, without weights: to plan a model of any size."""
    task = _task(Checkpoint.from_config(config), system, None, context, silent)
    task.weights = False
    graph: Graph = run(task, until="choose_codes")
    return graph


def _task(
    checkpoint: Checkpoint,
    system: System | None,
    calibrate: Path | str | None,
    context: int | None,
    progress: Progress,
) -> Task:
    text = None if calibrate is None else Path(calibrate)
    options = Options(calibrate=text, context=context)
    return Task(checkpoint, options, system or find("las"), progress=progress)

"""The whole of las_neuro in one call: checkpoint -> calibrated spiking graph with its codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from las_neuro import systems
from las_neuro.checkpoint import Checkpoint
from las_neuro.graph import Graph
from las_neuro.systems import System

if TYPE_CHECKING:
    from las_neuro.calibration.ranges import Rows


@dataclass(frozen=True)
class Measured:
    """A spiking graph with its ranges, and the tokens (or patches) they were measured on.

    lifelike: whether those are like the text to come, so that weights may be rounded by them; an
    encoder's own sample is random, which is good enough for ranges alone.
    """

    checkpoint: Checkpoint
    graph: Graph
    batches: list[Rows]
    lifelike: bool


def measured(
    model_path: Path | str,
    *,
    system: System | None = None,
    calibrate: Path | None = None,
    context: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Measured:
    """Open a model, make it spiking and calibrate it; its encoders have no codes yet."""
    from las_neuro.architectures import draw
    from las_neuro.calibration.images import calibration_images
    from las_neuro.calibration.ranges import calibrate as measure
    from las_neuro.calibration.text import calibration_tokens

    method = system or systems.find("las")
    tell = progress or (lambda stage, done, of: None)
    tell("draw", 0, 1)
    checkpoint = Checkpoint.open(model_path)
    graph = method.spiking(draw(checkpoint, context), checkpoint)
    tell("draw", 1, 1)
    source = calibration_images if graph.pixels else calibration_tokens
    batches: list[Rows] = list(source(checkpoint, calibrate, graph))
    lifelike = calibrate is not None or graph.causal
    return Measured(checkpoint, measure(graph, batches, progress), batches, lifelike)


def convert(
    model_path: Path | str,
    *,
    system: System | None = None,
    calibrate: Path | None = None,
    context: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[Checkpoint, Graph]:
    """Open a model and make it spiking.

    system: one of las_neuro.systems with its options; None: LAS.
    calibrate: a text, token or image file; None: the model's own text, or chance.
    context: most tokens a sequence; None: all the model allows.  progress(stage, done, of).
    """
    method = system or systems.find("las")
    found = measured(
        model_path, system=method, calibrate=calibrate, context=context, progress=progress
    )
    return found.checkpoint, method.threshold(found.graph)


def plan_graph(
    config_path: Path | str, context: int | None = None, *, system: System | None = None
) -> Graph:
    """The spiking graph a config.json implies, without weights: for costing a model of any size."""
    from las_neuro.architectures import draw

    method, checkpoint = system or systems.find("las"), Checkpoint.from_config(config_path)
    return method.threshold(method.spiking(draw(checkpoint, context), checkpoint))

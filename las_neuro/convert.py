"""The whole of las_neuro in one call: checkpoint -> calibrated spiking graph with its codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from las_neuro import systems
from las_neuro.checkpoint import Checkpoint
from las_neuro.codes import FORMS
from las_neuro.errors import ConfigError
from las_neuro.graph import Graph

FEWEST_STEPS, MOST_STEPS = 4, 20


def convert(
    model_path: Path | str,
    *,
    system: str = "las",
    steps: int = 16,
    code: str = "binary",
    calibrate: Path | None = None,
    context: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[Checkpoint, Graph]:
    """Open a model and make it spiking.

    steps: binary digits a value.  code: the form of its spikes, one of codes.FORMS.
    calibrate: a text, token or image file; None: the model's own text, or chance.
    context: most tokens a sequence; None: all the model allows.  progress(stage, done, of).
    """
    from las_neuro.architectures import draw
    from las_neuro.calibrate import calibrate as measure
    from las_neuro.calibration_images import calibration_images
    from las_neuro.calibration_text import calibration_tokens
    from las_neuro.equalize import equalize

    _check_code(steps, code)
    method = systems.find(system)
    tell = progress or (lambda stage, done, of: None)
    tell("draw", 0, 1)
    checkpoint = Checkpoint.open(model_path)
    graph = method.spiking(draw(checkpoint, context))
    tell("draw", 1, 1)
    source = calibration_images if graph.pixels else calibration_tokens
    batches = source(checkpoint, calibrate, graph)
    # An encoder's own sample is random: good enough for ranges, not to round weights by.
    moments = calibrate is not None or graph.causal
    measured = equalize(measure(graph, batches, progress, moments=moments))
    return checkpoint, method.threshold(measured, steps, code)


def plan_graph(
    config_path: Path | str,
    steps: int = 16,
    context: int | None = None,
    *,
    system: str = "las",
    code: str = "binary",
) -> Graph:
    """The spiking graph a config.json implies, without weights: for costing a model of any size."""
    from las_neuro.architectures import draw

    _check_code(steps, code)
    method = systems.find(system)
    graph = method.spiking(draw(Checkpoint.from_config(config_path), context))
    return method.threshold(graph, steps, code)


def _check_code(steps: int, code: str) -> None:
    if code not in FORMS:
        raise ConfigError(f"code {code!r} is not known", f"use one of {', '.join(FORMS)}")
    if not FEWEST_STEPS <= steps <= MOST_STEPS:
        raise ConfigError(
            f"{steps} steps is outside {FEWEST_STEPS} to {MOST_STEPS}", "use 16, the paper's choice"
        )

"""choose_precision: the cheapest digits, weight planes and function tables for an error budget.

It rounds weights and chooses codes as the passes after it would, and so replaces these.
"""

from __future__ import annotations

from dataclasses import replace

from compiler.budget import keep_budget
from compiler.passes.contract import Pass
from compiler.task import Task
from las_neuro.errors import ConfigError
from las_neuro.graph import Graph
from las_neuro.systems.las import Las


def choose_precision(graph: Graph, task: Task) -> Graph:
    """The cheapest graph within the budget, its weights rounded and its codes chosen.

    The choice goes to `task.record`.  Raises ConfigError where the calibration sample is random
    tokens, on which errors say nothing about real text; CalibrationError where even the finest
    choice exceeds the budget.
    """
    las, budget = task.method, task.options.error_budget
    assert budget is not None
    assert isinstance(las, Las)  # `Options.method` refuses every other system
    if not task.representative:
        raise ConfigError(
            "an error budget for an encoder needs text like the one to come",
            "name some with --calibrate FILE",
        )
    precision = keep_budget(
        graph,
        task.batches,
        budget,
        las.steps,
        lambda candidate, digits: replace(las, steps=digits).threshold(candidate),
        task.progress,
    )
    task.record["error_budget"] = precision.record()
    return precision.graph


PASS = Pass(
    choose_precision,
    "spiking",
    "spiking",
    needs=("ranges",),
    leaves=("planes", "clips", "rounded weights", "codes"),
    reads_weights=True,
    applies=lambda task: task.options.error_budget is not None,
)

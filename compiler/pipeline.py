"""pipeline: the order of the passes, once, and the driver that runs them or a part of them.

`las-compile`, its `--plan` and `--error-budget`, `compiler.convert` and the benchmarks all run this
table or a prefix of it.  After each pass the result is verified at the level the pass declares.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from compiler.lowering import network as lowered
from compiler.netlist.check import check
from compiler.netlist.model import Netlist
from compiler.passes import (
    calibrate,
    check_kinds,
    check_limits,
    choose_codes,
    choose_precision,
    draw,
    fit_digits,
    fold_scales,
    learn_clips,
    lower,
    make_spiking,
    partition,
    place,
    prove_widths,
    round_weights,
    schedule,
    set_planes,
    split_phases,
    use_tables,
)
from compiler.passes.contract import Pass
from compiler.task import Task
from compiler.timing import Timing, timed
from las_neuro.graph import Graph
from las_neuro.graph import verify as verify_graph

PASSES: tuple[Pass, ...] = (
    draw.PASS,
    make_spiking.PASS,
    calibrate.PASS,
    use_tables.PASS,
    choose_precision.PASS,
    set_planes.PASS,
    learn_clips.PASS,
    round_weights.PASS,
    choose_codes.PASS,
    split_phases.PASS,
    lower.PASS,
    check_kinds.PASS,
    fit_digits.PASS,
    schedule.PASS,
    prove_widths.PASS,
    fold_scales.PASS,
    partition.PASS,
    place.PASS,
    check_limits.PASS,
)
NAMES = tuple(one.name for one in PASSES)
PLANNED = "schedule"  # the last pass of a plan
ROUNDING = ("learn_clips", "round_weights")  # what a conversion that keeps real weights skips

# Called after each pass with what it gave and what that took; None where it was left out.
Watch = Callable[[Pass, Any, Timing | None], None]


def run(
    task: Task,
    network: Any = None,
    *,
    first: str = NAMES[0],
    until: str = NAMES[-1],
    skip: Collection[str] = (),
    watch: Watch | None = None,
) -> Any:
    """Run the passes from `first` to `until` on a network; returns what the last one gave.

    A pass is left out where the options do not ask for it, where it reads weights and the task has
    none, where what it leaves is there already, and where `skip` names it.
    """
    facts: set[str] = set()
    for one in PASSES[NAMES.index(first) : NAMES.index(until) + 1]:
        timing = None
        if _has_work(one, task, facts) and one.name not in skip:
            network, timing = timed(one, network, task)
            verify(network, one.result)
            facts |= set(one.leaves)
        if watch:
            watch(one, network, timing)
    return network


def _has_work(one: Pass, task: Task, facts: set[str]) -> bool:
    there = bool(one.leaves) and set(one.leaves) <= facts
    return one.applies(task) and not there and (task.weights or not one.reads_weights)


def verify(network: Any, level: str) -> None:
    """Raise where a network is not what its level promises: ValueError, or NetlistError."""
    if isinstance(network, Graph):
        verify_graph(network, level)
    elif isinstance(network, Netlist):
        check(network)
    else:
        lowered.verify(network)


def build(graph: Graph, *, weights: bool = True, watch: Watch | None = None) -> Any:
    """Lower and schedule a spiking graph whose encoders have codes: a netlist without placement.

    Without weights (planning) a lowered network, whose numbers are left out.
    """
    until = "fold_scales" if weights else PLANNED
    return run(Task(weights=weights), graph, first="split_phases", until=until, watch=watch)

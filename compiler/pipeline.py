"""pipeline: the one table of passes in their order, and the driver that runs all or some of them.

`las-compile`, its `--plan` and `--error-budget`, `compiler.convert` and the benchmarks all run this
table or a part of it.  After each pass the result is verified at the level the pass declares.
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
ROUNDING = ("learn_clips", "round_weights")  # a conversion that keeps real weights skips these

# Called after each pass with the pass, its result and its timing; the timing is None where the
# pass was skipped.
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
    """Run the passes from `first` to `until` on a network and return the result of the last one.

    A pass is skipped where the options do not ask for it, where it reads weights and the task has
    none, where all facts it leaves are established already, and where `skip` names it.
    Raises LasError where a pass cannot do its work; ValueError or NetlistError where a result
    breaks the promises of its level (a bug).
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
    done = bool(one.leaves) and set(one.leaves) <= facts
    return one.applies(task) and not done and (task.weights or not one.reads_weights)


def verify(network: Any, level: str) -> None:
    """Raise ValueError, or NetlistError for a netlist, where a network breaks its level's rules."""
    if isinstance(network, Graph):
        verify_graph(network, level)
    elif isinstance(network, Netlist):
        check(network)
    else:
        lowered.verify(network)


def build(graph: Graph, *, weights: bool = True, watch: Watch | None = None) -> Any:
    """Lower and schedule a spiking graph whose encoders have codes; no placement.

    Returns a Netlist; without weights (planning) a scheduled LoweredNetwork, whose weights are
    shapes only.
    """
    until = "fold_scales" if weights else PLANNED
    return run(Task(weights=weights), graph, first="split_phases", until=until, watch=watch)

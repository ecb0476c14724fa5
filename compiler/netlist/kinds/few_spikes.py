"""few_spikes: a scalar function by a few-spikes neuron, with tables for each sub-domain.

Few-spikes neurons (arXiv 2002.00860) and the HG neurons of LAS (arXiv 2505.09659): the value's
sub-domain selects the tables.  Then, in each of K steps, a neuron whose potential is above theta[t]
fires: it adds d[t] to the result and subtracts reset[t] from the potential.  The result is sent at
the last step as one graded value.  The tables are imported; functions that the compiler fits itself
are of kind `segment`, with smaller tables and errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from compiler.netlist.faults import need
from compiler.netlist.kinds.kind import Cost, Kind, Outcome, Port, State, WindowOutcome, Word
from compiler.netlist.kinds.params import Param, Params
from compiler.netlist.kinds.timing import Steps, Timing
from compiler.netlist.trains import Graded
from las_neuro.integers import WORD_LIMIT, Array, Ints, lookup, saturate

if TYPE_CHECKING:
    from compiler.netlist.model import Population
    from compiler.netlist.timetable import Timetable


def _domain(x: Array, p: Params) -> Array:
    """Index of the last sub-domain whose edge is at or below the value, or of the first."""
    place = x * 0
    for edge in p["edges"][1:]:
        place = place + (x >= int(edge))
    return place


def _fire(v: Array, y: Array, domain: Array, p: Params, t: int) -> tuple[Array, Array, int]:
    """Potential and result after step t, and the number of clamps in both."""
    at = domain * p["count"] + t
    spike = (v > lookup(p["theta"], at)) * 1
    v, clamps = saturate(v - spike * lookup(p["reset"], at), -WORD_LIMIT, WORD_LIMIT)
    y, more = saturate(y + spike * lookup(p["d"], at), -WORD_LIMIT, WORD_LIMIT)
    return v, y, clamps + more


def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    x = inputs["x"]
    if k == 0:
        v, y, domain = x, x * 0, _domain(x, p)
    else:
        v, y, domain = state["v"], state["y"], state["domain"]
    v, y, clamps = _fire(v, y, domain, p, k)
    if k < p["count"] - 1:
        return Outcome({"v": v, "y": y, "domain": domain}, x * 0, clamps)
    return Outcome({}, y, clamps)


def window(state: State, arrivals: Mapping[str, Any], p: Params) -> WindowOutcome:
    v = arrivals["x"]
    y, domain = v * 0, _domain(v, p)
    clamps = 0
    for t in range(p["count"]):
        v, y, more = _fire(v, y, domain, p, t)
        clamps += more
    return WindowOutcome(Graded(y), {}, clamps)


def check(population: Population) -> None:
    """Check that tables have `count` entries per sub-domain, and that there are `count` steps."""
    p, at, steps = population.params, population.label, len(population.steps)
    sizes = [len(p[key]) for key in ("theta", "reset", "d")]
    entries = len(p["edges"]) * p["count"]
    need(sizes == [entries] * 3, at, f"tables of {sizes}, not {entries}")
    need(p["count"] == steps, at, f"{p['count']} firings in {steps} steps")


def _steps(table: Timetable, population: Population) -> Steps:
    """`count` steps from the value's arrival on."""
    start = table.arrivals(population.name)[-1]
    return tuple(range(start, start + population.params["count"]))


KIND = Kind(
    "few_spikes",
    "scalar function by imported few-spikes tables",
    ports={"x": Port("latch")},
    state={"v": Word(24), "y": Word(24), "domain": Word(5, signed=False)},
    params={
        "count": Param(6),
        "edges": Param(24, signed=True, per="table"),
        "theta": Param(24, signed=True, per="table"),
        "reset": Param(24, signed=True, per="table"),
        "d": Param(24, signed=True, per="table"),
    },
    step=step,
    window=window,
    cost=lambda p: Cost(state_reads=3, state_writes=2, adds=2, compares=1, lookups=3),
    timing=Timing(_steps, listens=lambda p: 0),
    check=check,
)

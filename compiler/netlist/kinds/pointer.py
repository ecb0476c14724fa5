"""pointer: a ring of compartments of which one spikes per token, the next one with each token.

It says which slot of written synapses is written or read: the compartment of the current slot sends
1, the others are silent.  After the last slot comes the first again, so the oldest token is
forgotten first.  A ring of one compartment sends once every token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from compiler.netlist.faults import need
from compiler.netlist.kinds.kind import Cost, Kind, Outcome, State, WindowOutcome, Word
from compiler.netlist.kinds.params import Param, Params
from compiler.netlist.kinds.spikes import Spikes, never
from compiler.netlist.kinds.timing import Steps, Timing
from compiler.netlist.trains import Graded
from las_neuro.integers import Ints

if TYPE_CHECKING:
    from compiler.netlist.model import Population
    from compiler.netlist.timetable import Timetable


def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    count = state.get("count", np.zeros(p["slots"], np.int64))
    here = (np.arange(p["slots"]) == count) * 1
    return Outcome({"count": (count + 1) % p["slots"]}, here)


def window(state: State, arrivals: Mapping[str, Any], p: Params) -> WindowOutcome:
    """The train [batch, tokens, slots used so far]; arrivals["tokens"]: zeros [batch, tokens].

    The state counts all tokens, not modulo the slots as in `step`; both give the same slot.
    """
    tokens = arrivals["tokens"]
    if p["slots"] == 1:
        return WindowOutcome(Graded(tokens + 1))
    count = state.get("count", 0)
    place = (count + (tokens + 1).cumsum(1) - 1) % p["slots"]
    used = count + tokens.shape[1]
    slots = (place[0, :1] * 0 + 1).repeat(min(used, p["slots"])).cumsum(0) - 1
    return WindowOutcome(Graded((place[:, :, None] == slots) * 1), {"count": used})


def check(population: Population) -> None:
    slots = population.params["slots"]
    need(slots == population.n, population.label, f"{slots} slots")


def _steps(table: Timetable, population: Population) -> Steps:
    """With the value that it helps to write, or the digits of a sum that it gates; else at once."""
    wiring, populations = table.wiring, table.net.populations
    for form in wiring.points(population.name):
        if not populations[form.value].does.one_hot:
            return table.sends[form.value]
    for form in wiring.writes(population.name):
        if form.pointer in table.sends:
            return table.sends[form.pointer]
    for group in wiring.out_of(population.name):
        gated = populations[group.target].does
        if gated.sum_port and group.port != gated.sum_port:
            return table.sends[wiring.source(group.target, gated.sum_port)][:1]
    return (table.begin,)


KIND = Kind(
    "pointer",
    "one spike that moves on one compartment a token",
    ports={},
    state={"count": Word(16, signed=False, keeps=True)},
    params={"slots": Param(16)},
    step=step,
    window=window,
    cost=lambda p: Cost(state_reads=1, state_writes=1, adds=1, compares=1),
    timing=Timing(_steps, one_step=True),
    spikes=Spikes(graded=never),
    one_hot=True,
    check=check,
)

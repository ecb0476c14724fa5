"""any: fires when at least one spike arrives in a step; the referee of `compete`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from compiler.netlist.faults import need
from compiler.netlist.kinds.kind import Cost, Kind, Outcome, Port, State, Word
from compiler.netlist.kinds.params import Params
from compiler.netlist.kinds.spikes import Spikes, bits_from_the_top, never
from compiler.netlist.kinds.timing import Timing, at_all
from las_neuro.integers import Ints

if TYPE_CHECKING:
    from compiler.netlist.model import Population
    from compiler.netlist.wiring import Wiring


def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    return Outcome({}, (inputs["a"] > 0) * 1)


def check_wiring(wiring: Wiring, population: Population) -> None:
    loops = [group for group in wiring.out_of(population.name) if group.feedback]
    need(len(loops) == 1, population.label, "a referee serves one competition")


KIND = Kind(
    "any",
    "fires when at least one spike came",
    ports={"a": Port("spikes")},
    state={"u": Word(24)},
    params={},
    step=step,
    window=None,
    cost=lambda p: Cost(state_reads=1, state_writes=1, adds=1, compares=1),
    lava="LIF",
    timing=Timing(sends=at_all),
    spikes=Spikes(graded=never, code=bits_from_the_top),
    check_wiring=check_wiring,
)

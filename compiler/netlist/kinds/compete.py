"""compete: the spiking maximum, found bit by bit with `any` as referee.

Each compartment sends its value's bits from the top (its offers).  The referee (`any`) fires when
at least one offer is 1; compartments that sent 0 then drop out.  After `bits` rounds the referee
has sent the maximum's leading bits.  x is offset so that values of written slots are >= 1; a
compartment with 0 does not compete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from compiler.netlist.faults import need
from compiler.netlist.kinds.kind import Cost, Kind, Loop, Outcome, Port, State, Word
from compiler.netlist.kinds.params import Param, Params
from compiler.netlist.kinds.spikes import Spikes, bits_from_the_top, never
from compiler.netlist.kinds.timing import Steps, Timing
from compiler.netlist.trains import Digits
from las_neuro.integers import Array, Ints, below_leading_bit

if TYPE_CHECKING:
    from compiler.netlist.model import Population
    from compiler.netlist.timetable import Timetable
    from compiler.netlist.wiring import Wiring


def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    """Apply the referee's spike on the last bit, then offer the next; step `bits` offers none."""
    if k == 0:
        value = inputs["x"] >> p["drop"]
        alive = (value > 0) * 1
    else:
        value = state["value"]
        loses = (inputs["veto"] > 0) & (state["offer"] == 0)
        alive = np.where(loses, 0, state["alive"])
    if k == p["bits"]:
        return Outcome({}, value * 0)
    offer = ((value >> (p["bits"] - 1 - k)) & 1) * alive
    return Outcome({"value": value, "alive": alive, "offer": offer}, offer)


def loop(x: Array, p: Params, rivals: Callable[[Array], Array]) -> Loop:
    """Closed form: a compartment offers its bits down to the first that differs from the maximum.

    rivals(v): the largest v among the compartments that share a referee, of size 1 on their axis.
    """
    value = x >> p["drop"]
    top = rivals(value)
    offers = value & ~below_leading_bit(value ^ top)
    positions = tuple(range(p["bits"] - 1, -1, -1))
    return Loop(Digits(offers, None, positions), Digits(top, None, positions))


def check(population: Population) -> None:
    p, at, steps = population.params, population.label, len(population.steps)
    need(p["bits"] + 1 == steps, at, f"{p['bits']} bits in {steps} steps")


def check_wiring(wiring: Wiring, population: Population) -> None:
    """Check that a competition has one referee of its own, and that both alternate step by step."""
    at = population.label
    p, source = population.params, wiring.net.populations[wiring.source(population.name, "x")]
    bits = source.does.spikes.payload_bits(source.params) - 1
    need(bits <= p["bits"] + p["drop"], at, f"some of the {bits} bits of a value never compete")
    (veto, *more) = wiring.into(population.name, "veto")
    referee = wiring.net.populations[veto.source]
    offers = wiring.into(referee.name)
    alone = not more and veto.feedback and referee.kind == "any" and len(offers) == 1
    need(alone and offers[0].source == population.name, at, "has no referee of its own")
    for group in (veto, offers[0]):
        pattern = wiring.pattern(group)
        need(pattern is not None and pattern.weight > 0, group.label, "does not carry a verdict")
    need(set(referee.axes) <= set(population.axes), at, "the referee has other axes")
    answers = wiring.arrivals(offers[0]), wiring.arrivals(veto)
    fits = answers == (referee.steps, population.steps[1:])
    need(fits, at, "offers and verdicts do not take turns")


def _steps(table: Timetable, population: Population) -> Steps:
    """An offer every second step, the referee's spikes in between; the last step sends no offer."""
    start = table.arrivals(population.name, "x")[-1]
    return tuple(range(start, start + 2 * population.params["bits"] + 1, 2))


KIND = Kind(
    "compete",
    "offers its bits from the top until a rival has a larger one",
    ports={"x": Port("latch"), "veto": Port("latch")},
    state={"value": Word(24), "alive": Word(1, signed=False), "offer": Word(1, signed=False)},
    params={"bits": Param(5), "drop": Param(5)},
    step=step,
    window=None,
    loop=loop,
    cost=lambda p: Cost(state_reads=3, state_writes=2, compares=2, shifts=1),
    timing=Timing(_steps, sends=lambda steps, p: steps[:-1], listens=lambda p: 0),
    spikes=Spikes(graded=never, code=bits_from_the_top),
    check=check,
    check_wiring=check_wiring,
)

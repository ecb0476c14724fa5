"""compete: the spiking maximum, decided bit by bit with `any` as referee.

Each compartment offers its value's bits from the top.  The referee (`any`) fires when somebody
offered a 1; whoever was silent then drops out.  After `bits` rounds the referee has spelt out the
maximum's leading bits.  x is offset so that a live value is >= 1; 0 does not compete.
"""

from collections.abc import Callable, Mapping

import numpy as np

from compiler.netlist.arrays import Array, Ints, below_leading_bit
from compiler.netlist.kinds.kind import Cost, Kind, Loop, Outcome, Params, State
from compiler.netlist.trains import Digits


def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    """Take the referee's verdict on the last bit, then offer the next; step `bits` offers none."""
    if k == 0:
        value = inputs["x"] >> p["drop"]
        alive = (value > 0) * 1
    else:
        value = state["value"]
        beaten = (inputs["veto"] > 0) & (state["offer"] == 0)
        alive = np.where(beaten, 0, state["alive"])
    if k == p["bits"]:
        return Outcome({}, value * 0)
    offer = ((value >> (p["bits"] - 1 - k)) & 1) * alive
    return Outcome({"value": value, "alive": alive, "offer": offer}, offer)


def loop(x: Array, p: Params, rivals: Callable[[Array], Array]) -> Loop:
    """Closed form: a loser offers its bits down to the first where the maximum has a 1 and it not.

    rivals(v): the largest v among the compartments that share a referee, size 1 on their axis.
    """
    value = x >> p["drop"]
    top = rivals(value)
    offered = value & ~below_leading_bit(value ^ top)
    positions = tuple(range(p["bits"] - 1, -1, -1))
    return Loop(Digits(offered, None, positions), Digits(top, None, positions))


KIND = Kind(
    "compete",
    "offers its bits from the top until a rival has a larger one",
    ports={"x": "latch", "veto": "latch"},
    state={"value": 24, "alive": 1, "offer": 1},
    params={"bits": 5, "drop": 5},
    step=step,
    window=None,
    loop=loop,
    cost=Cost(state_reads=3, state_writes=2, compares=2, shifts=1),
    graded=False,
)

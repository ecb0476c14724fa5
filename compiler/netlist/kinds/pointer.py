"""pointer: a ring of compartments that passes one spike along, one place a token.

It addresses memory: the compartment of the current slot sends 1, the others are silent.  After the
last slot comes the first again, so memory forgets the oldest token first.  A ring of one
compartment is the clock that triggers a read every token.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compiler.netlist.arrays import Ints
from compiler.netlist.kinds.kind import Cost, Kind, Outcome, Params, State, Swept
from compiler.netlist.trains import Graded


def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    count = state.get("count", np.zeros(p["slots"], np.int64))
    here = (np.arange(p["slots"]) == count) * 1
    return Outcome({"count": (count + 1) % p["slots"]}, here)


def window(state: State, arrivals: Mapping[str, Any], p: Params) -> Swept:
    """arrivals["tokens"]: zeros [batch, tokens]; gives [batch, tokens, slots used so far].

    The state counts all tokens, which tells the place as well as the step's count does.
    """
    tokens = arrivals["tokens"]
    if p["slots"] == 1:
        return Swept(Graded(tokens + 1))
    count = state.get("count", 0)
    place = (count + (tokens + 1).cumsum(1) - 1) % p["slots"]
    used = count + tokens.shape[1]
    slots = (place[0, :1] * 0 + 1).repeat(min(used, p["slots"])).cumsum(0) - 1
    return Swept(Graded((place[:, :, None] == slots) * 1), {"count": used})


KIND = Kind(
    "pointer",
    "one spike that moves on one compartment a token",
    ports={},
    state={"count": 16},
    params={"slots": 16},
    step=step,
    window=window,
    cost=Cost(state_reads=1, state_writes=1, adds=1, compares=1),
    graded=False,
    keeps=("count",),
)

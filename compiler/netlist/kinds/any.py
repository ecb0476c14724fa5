"""any: fires when at least one spike came in this step; the referee of `compete`."""

from collections.abc import Mapping

from compiler.netlist.arrays import Ints
from compiler.netlist.kinds.kind import Cost, Kind, Outcome, Params, State


def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    return Outcome({}, (inputs["a"] > 0) * 1)


KIND = Kind(
    "any",
    "fires when at least one spike came",
    ports={"a": "latch"},
    state={"u": 24},
    params={},
    step=step,
    window=None,
    cost=Cost(state_reads=1, state_writes=1, adds=1, compares=1),
    lava="LIF",
    graded=False,
)

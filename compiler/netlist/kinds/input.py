"""input: where the host's values enter, one graded spike a compartment and token."""

from collections.abc import Mapping

from compiler.netlist.arrays import Array, Ints
from compiler.netlist.kinds.kind import Cost, Kind, Outcome, Params, State, Swept
from compiler.netlist.trains import Graded


def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    """Pass on what the host injected at this step."""
    return Outcome({}, inputs["host"])


def window(state: State, arrivals: Mapping[str, Array], p: Params) -> Swept:
    return Swept(Graded(arrivals["host"]))


KIND = Kind(
    "input",
    "entry point of host values",
    ports={"host": "latch"},
    state={},
    params={},
    step=step,
    window=window,
    cost=Cost(),
    lava="io.source.RingBuffer",
)

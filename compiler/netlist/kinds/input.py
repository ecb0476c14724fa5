"""input: where the host's values enter, one graded spike a compartment and token."""

from collections.abc import Mapping

from compiler.netlist.kinds.kind import Cost, Kind, Outcome, Port, State, Swept
from compiler.netlist.kinds.params import Params
from compiler.netlist.kinds.timing import Timing, once_a_phase
from compiler.netlist.trains import Graded
from las_neuro.integers import Array, Ints


def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    """Pass on what the host injected at this step."""
    return Outcome({}, inputs["host"])


def window(state: State, arrivals: Mapping[str, Array], p: Params) -> Swept:
    return Swept(Graded(arrivals["host"]))


KIND = Kind(
    "input",
    "entry point of host values",
    ports={"host": Port("host", needed=False)},
    state={},
    params={},
    step=step,
    window=window,
    cost=lambda p: Cost(),
    lava="io.source.RingBuffer",
    timing=Timing(once_a_phase, one_step=True),
)

"""input: sends the host's values, one graded spike per compartment and token."""

from collections.abc import Mapping

from compiler.netlist.kinds.kind import Cost, Kind, Outcome, Port, State, WindowOutcome
from compiler.netlist.kinds.params import Params
from compiler.netlist.kinds.timing import Timing, once_per_phase
from compiler.netlist.trains import Graded
from las_neuro.integers import Array, Ints


def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    """Send the host's value."""
    return Outcome({}, inputs["host"])


def window(state: State, arrivals: Mapping[str, Array], p: Params) -> WindowOutcome:
    return WindowOutcome(Graded(arrivals["host"]))


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
    timing=Timing(once_per_phase, one_step=True),
)

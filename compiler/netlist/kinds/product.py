"""product: the product of two graded values, a * b / 2**shift, rounded and saturated.

Each port keeps its value until both have arrived.  Lava's ProdNeuron computes the same product with
a floor and 32-bit wrap-around, which is equal only for small factors, so `lava` does not name it.
"""

from collections.abc import Mapping
from typing import Any

from compiler.netlist.kinds.kind import Cost, Kind, Outcome, Port, State, WindowOutcome, Word
from compiler.netlist.kinds.params import Param, Params
from compiler.netlist.kinds.timing import counts_its_steps
from compiler.netlist.trains import Graded
from las_neuro.integers import WORD_LIMIT, Array, Ints, saturate, shift_right, wide


def _send(a: Array, b: Array, p: Params) -> tuple[Array, int]:
    return saturate(shift_right(wide(a) * b, p["shift"]), -WORD_LIMIT, WORD_LIMIT)


def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    a = state.get("a", inputs["a"] * 0) + inputs["a"]
    b = state.get("b", inputs["b"] * 0) + inputs["b"]
    if k < p["arrivals"] - 1:
        return Outcome({"a": a, "b": b}, a * 0)
    payload, clamps = _send(a, b, p)
    return Outcome({}, payload, clamps)


def window(state: State, arrivals: Mapping[str, Any], p: Params) -> WindowOutcome:
    payload, clamps = _send(arrivals["a"], arrivals["b"], p)
    return WindowOutcome(Graded(payload), {}, clamps)


KIND = Kind(
    "product",
    "product of two graded values",
    ports={"a": Port("latch"), "b": Port("latch")},
    state={"a": Word(24), "b": Word(24)},
    params={"shift": Param(6), "arrivals": Param(2)},
    step=step,
    window=window,
    cost=lambda p: Cost(state_reads=2, state_writes=2, adds=2, multiplies=1, shifts=1),
    check=counts_its_steps,
)

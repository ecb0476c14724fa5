"""antilog: 2**-(reference - x) for x <= reference, the softmax numerator; silent where no x came.

x and the reference count 2**-fraction_bits of an octave; x is offset so that a live score is >= 1
and 0 means "no such position".  The whole octaves shift, the fraction picks a line: HG's
exponential with a relative error that is the same in every octave.
"""

from collections.abc import Mapping
from typing import Any

from compiler.netlist.arrays import Array, Ints, amount, lookup, namespace, shift_right
from compiler.netlist.kinds.kind import Cost, Kind, Outcome, Params, State, Swept
from compiler.netlist.trains import Graded


def _send(x: Array, reference: Array, p: Params) -> tuple[Array, int]:
    xp = namespace(x)
    live = x > 0
    below = reference - x
    high = live & (below < 0)
    z = xp.clip(below, 0, (31 << p["fraction_bits"]) - 1)
    fraction = z & ((1 << p["fraction_bits"]) - 1)
    width = p["fraction_bits"] - p["lines_log2"]
    i, part = fraction >> width, fraction & ((1 << width) - 1)
    line = lookup(p["base"], i) - shift_right(lookup(p["slope"], i) * part, p["shift"])
    y = shift_right(line, z >> p["fraction_bits"])
    return xp.where(live, y, y * 0), amount(high)


def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    x = state.get("x", inputs["x"] * 0) + inputs["x"]
    reference = state.get("reference", x * 0) + inputs["reference"]
    if k < p["arrivals"] - 1:
        return Outcome({"x": x, "reference": reference}, x * 0)
    payload, clamps = _send(x, reference, p)
    return Outcome({}, payload, clamps)


def window(state: State, arrivals: Mapping[str, Any], p: Params) -> Swept:
    payload, clamps = _send(arrivals["x"], arrivals["reference"], p)
    return Swept(Graded(payload), {}, clamps)


KIND = Kind(
    "antilog",
    "two to the minus (reference - x), by octave and line",
    ports={"x": "latch", "reference": "latch"},
    state={"x": 24, "reference": 24},
    params={
        "fraction_bits": 4,
        "lines_log2": 4,
        "shift": 5,
        "arrivals": 2,
        "base": 24,
        "slope": 18,
    },
    step=step,
    window=window,
    cost=Cost(state_reads=2, state_writes=2, adds=3, multiplies=1, compares=2, shifts=3, lookups=2),
    tables=("base", "slope"),
)

"""segment: a scalar function as lines over equal segments (GELU, SiLU); HG on a bounded range.

y = base[i] + slope[i] * (x - left[i]) / 2**shift with i the segment of x; the first and last lines
continue outside, so they carry the function's asymptotes.  One table a core, shared by
compartments.
"""

from collections.abc import Mapping
from typing import Any

from compiler.netlist.arrays import (
    WORD_LIMIT,
    Array,
    Ints,
    lookup,
    namespace,
    saturate,
    shift_right,
)
from compiler.netlist.kinds.kind import Cost, Kind, Outcome, Params, State, Swept
from compiler.netlist.trains import Graded


def _send(x: Array, p: Params) -> tuple[Array, int]:
    offset = x - p["origin"]
    i = namespace(x).clip(offset >> p["width"], 0, len(p["base"]) - 1)
    rise = lookup(p["slope"], i) * (offset - (i << p["width"]))
    line = lookup(p["base"], i) + shift_right(rise, p["shift"])
    return saturate(line, -WORD_LIMIT, WORD_LIMIT)


def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    payload, clamps = _send(inputs["x"], p)
    return Outcome({}, payload, clamps)


def window(state: State, arrivals: Mapping[str, Any], p: Params) -> Swept:
    payload, clamps = _send(arrivals["x"], p)
    return Swept(Graded(payload), {}, clamps)


KIND = Kind(
    "segment",
    "scalar function, piecewise linear over equal segments",
    ports={"x": "latch"},
    state={"x": 24},
    params={"origin": 24, "width": 5, "shift": 5, "base": 24, "slope": 18},
    step=step,
    window=window,
    cost=Cost(state_reads=1, adds=2, multiplies=1, compares=2, shifts=2, lookups=2),
    tables=("base", "slope"),
)

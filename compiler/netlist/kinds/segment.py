"""segment: a scalar function as lines over equal segments (GELU, SiLU); HG on a bounded range.

y = base[i] + slope[i] * (x - left[i]) / 2**shift with i the segment of x; the first and last lines
continue outside, so they carry the function's asymptotes.  One table a core, shared by
compartments.
"""

from compiler.netlist.arrays import (
    WORD_LIMIT,
    Array,
    lookup,
    namespace,
    saturate,
    shift_right,
)
from compiler.netlist.kinds.kind import Cost, Kind, Params, at_once


def _send(x: Array, p: Params) -> tuple[Array, int]:
    offset = x - p["origin"]
    i = namespace(x).clip(offset >> p["width"], 0, len(p["base"]) - 1)
    rise = lookup(p["slope"], i) * (offset - (i << p["width"]))
    line = lookup(p["base"], i) + shift_right(rise, p["shift"])
    return saturate(line, -WORD_LIMIT, WORD_LIMIT)


step, window = at_once(_send)

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

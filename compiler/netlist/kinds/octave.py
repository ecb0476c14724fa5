"""octave: x**-1 or x**-0.5 with a bounded relative error, by the leading bit and lines on [1, 2).

HG's hierarchical gate (LAS, arXiv 2505.09659) with octaves as sub-domains: the leading bit e
selects the octave, the next bits the line.  For the inverse root, odd octaves use the second half
of the table.  y = line / 2**(e' - exponent), with e' = e (reciprocal) or e // 2 (root).  x < 1
counts as a clamp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.netlist.kinds.kind import Cost, Kind, Port, Word, at_once
from compiler.netlist.kinds.lines import LINES, need_lines
from compiler.netlist.kinds.params import Param, Params
from compiler.netlist.kinds.timing import Timing
from las_neuro.integers import (
    WORD_LIMIT,
    Array,
    amount,
    leading_bit,
    lookup,
    namespace,
    saturate,
    shift_right,
    wide,
)

if TYPE_CHECKING:
    from compiler.netlist.model import Population

FRACTION_BITS = 23


def _send(x: Array, p: Params) -> tuple[Array, int]:
    xp = namespace(x)
    x, low = wide(x), x < 1
    x = xp.where(low, x * 0 + 1, x)
    octave = leading_bit(x)
    fraction = (x << (FRACTION_BITS - octave)) - (1 << FRACTION_BITS)
    width = FRACTION_BITS - p["lines_log2"]
    i, part = fraction >> width, fraction & ((1 << width) - 1)
    if p["root"]:
        i = i + ((octave & 1) << p["lines_log2"])
        octave = octave >> 1
    line = lookup(p["base"], i) + shift_right(lookup(p["slope"], i) * part, p["shift"])
    down = octave - p["exponent"]
    up = xp.clip(-down, 0, FRACTION_BITS)
    y = shift_right(line << up, xp.clip(down, 0, 2 * FRACTION_BITS))
    y, clamps = saturate(y, -WORD_LIMIT, WORD_LIMIT)
    return y, clamps + amount(low)


step, window = at_once(_send)


def check(population: Population) -> None:
    need_lines(population, (1 + population.params["root"]) << population.params["lines_log2"])


KIND = Kind(
    "octave",
    "reciprocal or inverse square root, by octave and line",
    ports={"x": Port("latch")},
    state={"x": Word(24)},
    params={
        "root": Param(1),
        "lines_log2": Param(4),
        "exponent": Param(7, signed=True),
        "shift": Param(5),
        **LINES,
    },
    step=step,
    window=window,
    cost=lambda p: Cost(state_reads=1, adds=3, multiplies=1, compares=5, shifts=4, lookups=2),
    timing=Timing(one_step=True),
    degree=lambda p: 0 if p["root"] else -1,
    check=check,
)

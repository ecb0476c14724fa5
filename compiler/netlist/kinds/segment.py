"""segment: a scalar function as lines on equal segments (GELU, SiLU), HG on a bounded range.

y = base[i] + slope[i] * (x - left[i]) / 2**shift with i the segment of x.  The first and last lines
continue outside, so they represent the function's asymptotes.  The compartments of a core share one
table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.netlist.faults import need
from compiler.netlist.kinds.kind import Cost, Kind, Port, Word, at_once
from compiler.netlist.kinds.lines import LINES, need_lines
from compiler.netlist.kinds.params import Param, Params
from compiler.netlist.kinds.timing import Timing
from las_neuro.integers import (
    WORD_BITS,
    WORD_LIMIT,
    Array,
    lookup,
    namespace,
    saturate,
    shift_right,
)

if TYPE_CHECKING:
    from compiler.netlist.model import Population


def _send(x: Array, p: Params) -> tuple[Array, int]:
    offset = x - p["origin"]
    i = namespace(x).clip(offset >> p["width"], 0, len(p["base"]) - 1)
    rise = lookup(p["slope"], i) * (offset - (i << p["width"]))
    line = lookup(p["base"], i) + shift_right(rise, p["shift"])
    return saturate(line, -WORD_LIMIT, WORD_LIMIT)


step, window = at_once(_send)


def check(population: Population) -> None:
    lines = len(population.params["base"])
    fits = lines << population.params["width"] <= 1 << (WORD_BITS + 2)
    need(fits, population.label, "lines beyond a word")
    need_lines(population, lines)


KIND = Kind(
    "segment",
    "scalar function, piecewise linear over equal segments",
    ports={"x": Port("latch")},
    state={"x": Word(24)},
    params={"origin": Param(24, signed=True), "width": Param(5), "shift": Param(5), **LINES},
    step=step,
    window=window,
    cost=lambda p: Cost(state_reads=1, adds=2, multiplies=1, compares=2, shifts=2, lookups=2),
    timing=Timing(one_step=True),
    check=check,
)

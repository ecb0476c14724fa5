"""antilog: 2**-(reference - x) for x <= reference, the softmax numerator; silent without an x.

x and the reference are in units of 2**-fraction_bits octaves; x is offset so that the score of a
written slot is >= 1, and 0 means that the slot is not written.  Whole octaves are a shift, the
fraction selects a line: HG's exponential with the same relative error in every octave.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from compiler.netlist.faults import need
from compiler.netlist.kinds.kind import Cost, Kind, Outcome, Port, State, WindowOutcome, Word
from compiler.netlist.kinds.lines import LINES, need_lines
from compiler.netlist.kinds.params import Param, Params
from compiler.netlist.kinds.timing import counts_its_steps
from compiler.netlist.trains import Graded
from las_neuro.integers import Array, Ints, amount, lookup, namespace, shift_right

if TYPE_CHECKING:
    from compiler.netlist.model import Population


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


def window(state: State, arrivals: Mapping[str, Any], p: Params) -> WindowOutcome:
    payload, clamps = _send(arrivals["x"], arrivals["reference"], p)
    return WindowOutcome(Graded(payload), {}, clamps)


def check(population: Population) -> None:
    """Check that lines fall and stay at 0 or above, at most one line per fraction."""
    p, at = population.params, population.label
    need_lines(population, 1 << p["lines_log2"])
    need(p["lines_log2"] <= p["fraction_bits"], at, "more lines than fractions")
    part = (1 << (p["fraction_bits"] - p["lines_log2"])) - 1
    ends = p["base"] - shift_right(p["slope"] * part, p["shift"])
    need(min(p["slope"].min(), ends.min()) >= 0, at, "a line rises, or falls below 0")
    counts_its_steps(population)


KIND = Kind(
    "antilog",
    "two to the minus (reference - x), by octave and line",
    ports={"x": Port("latch"), "reference": Port("latch")},
    state={"x": Word(24), "reference": Word(24)},
    params={
        "fraction_bits": Param(4),
        "lines_log2": Param(4),
        "shift": Param(5),
        "arrivals": Param(2),
        **LINES,
    },
    step=step,
    window=window,
    cost=lambda p: Cost(
        state_reads=2, state_writes=2, adds=3, multiplies=1, compares=2, shifts=3, lookups=2
    ),
    relative_to="reference",
    check=check,
)

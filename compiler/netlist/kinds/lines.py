"""Tables of lines, for the kinds that compute scalar functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.netlist.faults import need
from compiler.netlist.kinds.params import Param

if TYPE_CHECKING:
    from compiler.netlist.model import Population

LINES = {
    "base": Param(24, signed=True, per="table"),
    "slope": Param(18, signed=True, per="table"),
}


def need_lines(population: Population, lines: int) -> None:
    """Raise NetlistError unless both tables have this number of lines."""
    p = population.params
    fits = len(p["base"]) == len(p["slope"]) == lines
    need(fits, population.label, f"its tables have not {lines} lines")

"""Netlists built by hand."""

from __future__ import annotations

from typing import Any

from compiler.netlist.model import Netlist, Population, Synapses


def wire(populations: list[Population], synapses: list[Synapses], **fields: Any) -> Netlist:
    """A netlist by hand; the last population is the output."""
    named = {population.name: population for population in populations}
    period = 1 + max(step for p in populations for step in p.steps)
    given: dict[str, Any] = {"phases": ((0, period),), "context": 8} | fields
    return Netlist(
        family="hand",
        causal=True,
        vocabulary=8,
        output=populations[-1].name,
        output_kind="hidden",
        populations=named,
        synapses=synapses,
        **given,
    )

"""The order of the passes, once.

SpikingGraph -> split_phases -> lower -> fit_digits -> schedule -> prove_widths -> fold_scales
             -> partition -> place -> check_limits -> Netlist
"""

from __future__ import annotations

from collections.abc import Callable

from compiler.netlist.model import Netlist
from compiler.netlist.text import text
from compiler.passes.fit_digits import fit_digits
from compiler.passes.fold_scales import fold_scales
from compiler.passes.lower import Progress, lower
from compiler.passes.prove_widths import prove_widths
from compiler.passes.schedule import schedule
from compiler.passes.split_phases import split_phases
from las_neuro.graph import Graph

Watch = Callable[[str, str], None]  # called with a pass's name and what it left, as text

NUMBERS = (prove_widths, fold_scales)  # passes that need the weights


def build(
    graph: Graph,
    *,
    weights: bool = True,
    watch: Watch | None = None,
    progress: Progress | None = None,
) -> Netlist:
    """Lower and schedule a SpikingGraph; without weights (planning) the numbers are left out."""
    phased = split_phases(graph)
    if watch:
        watch("split_phases", phased.text())
    net = lower(phased, weights=weights, progress=progress)
    if watch:
        watch("lower", text(net))
    for step in (fit_digits, schedule, *(NUMBERS if weights else ())):
        net = step(net)
        if watch:
            watch(step.__name__, text(net))
    return net

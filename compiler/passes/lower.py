"""lower: a SpikingGraph becomes populations of primitive compartments and synapse groups.

Needs: phases and units.  Leaves: unscheduled populations; `integrate` populations carry their real
rescaling (`factor`, `bias_value`) until fold_scales turns it into integers.  One rule an operator,
in the lower_* file of its kind.  Without weights (planning) shapes are lowered all the same.
"""

from __future__ import annotations

from collections.abc import Callable

from compiler.lowering import attention, codes, functions, maps, norm
from compiler.lowering.lowering import Lowering
from compiler.netlist.model import Netlist
from las_neuro.graph import Graph, Node

Progress = Callable[[str, int, int], None]  # stage, done, of

RULES: dict[str, Callable[[Lowering, Node], None]] = {
    **codes.RULES,
    **maps.RULES,
    **functions.RULES,
    **attention.RULES,
    **norm.RULES,
}


def lower(graph: Graph, *, weights: bool = True, progress: Progress | None = None) -> Netlist:
    """Lower every node in order; progress(stage, done, of), since weights are rounded here."""
    low = Lowering(graph, weights=weights)
    for done, node in enumerate(graph, start=1):
        RULES[node.op](low, node)
        if progress:
            progress("lower", done, len(graph.nodes))
    return low.net

"""lower: a SpikingGraph becomes populations of primitive compartments and synapse groups.

Needs: phases and units.  Leaves: unscheduled populations; `integrate` populations carry their real
rescaling (`factor`, `bias_value`) until fold_scales turns it into integers.  One rule an operator,
in the lower_* file of its kind.  Without weights (planning) shapes are lowered all the same.
"""

from __future__ import annotations

from collections.abc import Callable

from compiler.netlist.model import Netlist
from compiler.passes import (
    lower_attention,
    lower_codes,
    lower_functions,
    lower_maps,
    lower_norm,
)
from compiler.passes.lowering import Lowering
from las_neuro.graph import Graph, Node

Progress = Callable[[str, int, int], None]  # stage, done, of

RULES: dict[str, Callable[[Lowering, Node], None]] = {
    **lower_codes.RULES,
    **lower_maps.RULES,
    **lower_functions.RULES,
    **lower_attention.RULES,
    **lower_norm.RULES,
}


def lower(graph: Graph, *, weights: bool = True, progress: Progress | None = None) -> Netlist:
    """Lower every node in order; progress(stage, done, of), since weights are rounded here."""
    low = Lowering(graph, weights=weights)
    for done, node in enumerate(graph, start=1):
        RULES[node.op](low, node)
        if progress:
            progress("lower", done, len(graph.nodes))
    return low.net

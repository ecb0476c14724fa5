"""lower: turn the spiking graph into populations of compartments and synapse groups.

Each operator has one rule, in a file of compiler/lowering/.  Populations have no steps until
`schedule` and real rescaling factors until `fold_scales`.  A plan lowers shapes only.
"""

from __future__ import annotations

from collections.abc import Callable

from compiler.lowering import attention, codes, functions, maps, norm
from compiler.lowering.lowering import Lowering
from compiler.lowering.network import LoweredNetwork
from compiler.passes.contract import Pass
from compiler.task import Task
from las_neuro.graph import Graph, Node

RULES: dict[str, Callable[[Lowering, Node], None]] = {
    **codes.RULES,
    **maps.RULES,
    **functions.RULES,
    **attention.RULES,
    **norm.RULES,
}


def lower(graph: Graph, task: Task) -> LoweredNetwork:
    """The lowered network; weights that no pass has rounded yet are rounded to nearest here."""
    lowering = Lowering(graph, weights=task.weights)
    for done, node in enumerate(graph, start=1):
        RULES[node.op](lowering, node)
        task.progress("lower", done, len(graph.nodes))
    return lowering.net


PASS = Pass(lower, "phased", "lowered", needs=("phases", "codes"), leaves=("populations",))

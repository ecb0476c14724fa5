"""fix_units: give every value its unit, the real number that one payload step stands for.

Needs: ranges from calibration.  Leaves: a unit per node.  The largest value seen takes 20 of 23
bits, which leaves a factor of 8 for text that calibration did not see; what goes beyond saturates
and is counted.  Terms of one sum share a unit, and a value that is summed over an axis is coarse
enough for the sum to fit.
"""

from __future__ import annotations

from collections.abc import Iterable

from las_neuro.graph import SLOTS, Graph, Node, Range

VALUE_BITS = 20
SUM_BITS = 21
SLOTS_BITS, SLOTS_FULL_BITS = 17, 22  # of the largest seen; of all slots, each 1
VARIANCE_BITS = 21  # quiet tokens need the bits more than loud ones the headroom
UNSEEN = Range(1.0, 1.0, 1.0)

# Producers whose own multiplier can give any unit; the others' terms are rescaled where summed.
FREE = {"linear", "input", "affine", "sum", "reduce", "offset", "function", "leak"}


def fix_units(graph: Graph) -> dict[str, float]:
    """Node name -> unit."""
    units = {node.name: _unit(node) for node in graph}
    for node in graph:
        if node.op == "function" and node["fn"] == "inverse_sqrt":
            (variance,) = node.inputs
            units[variance] = _unit(_before_offset(graph, variance), VARIANCE_BITS)
        elif node.op in ("reduce", "recall") and node["axis"] == SLOTS:
            units[node.name] = _slots_unit(graph, node)
    for _ in range(len(graph.nodes)):
        if not any([_raise_terms(graph, node, units) for node in graph]):
            break
    return units


def seen(node: Node) -> Range:
    return node.range or UNSEEN


def _unit(node: Node, bits: int = VALUE_BITS) -> float:
    return (seen(node).peak or 1.0) / 2.0**bits


def _before_offset(graph: Graph, name: str) -> Node:
    """The node whose range a value's unit goes by: a constant as small as eps takes no bits."""
    node = graph[name]
    return graph[node.inputs[0]] if node.op == "offset" else node


def _slots_unit(graph: Graph, node: Node) -> float:
    """A sum over slots grows with the text, of which calibration saw short pieces."""
    room = _unit(node, SLOTS_BITS)
    if node.op == "recall":
        return room
    slots = graph[node.inputs[0]].axes[SLOTS]  # a softmax numerator is at most about 1
    return max(_unit(node), min(room, slots / 2.0**SLOTS_FULL_BITS))


def _raise_terms(graph: Graph, node: Node, units: dict[str, float]) -> bool:
    """Coarsen the inputs of a sum or reduction; True if something changed."""
    changed = False
    for name in _values(graph, node.inputs):
        unit = 0.0
        if node.op == "sum":
            unit = max(units[term] for term in _values(graph, node.inputs))
            if graph[name].op not in FREE:
                continue
        elif node.op == "reduce" and graph[name].op != "encode":
            unit = (seen(node).peak or 1.0) / abs(node["factor"]) / 2**SUM_BITS
        if unit > units[name] * (1 + 1e-9):
            units[name], changed = unit, True
    return changed


def _values(graph: Graph, names: Iterable[str]) -> list[str]:
    """The nodes behind views and waits, which have no unit of their own."""
    values = []
    for name in names:
        node = graph[name]
        while node.op in ("view", "wait"):
            node = graph[node.inputs[0]]
        values.append(node.name)
    return values

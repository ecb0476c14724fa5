"""units: give every value its unit, the real number that payload 1 stands for.

The units follow from the ranges that calibration measured.  The largest calibrated value takes 20
of 23 bits, which leaves a factor of 8 for other text; larger values saturate and are counted as
clamps.  Terms of one sum share a unit, and a value that is summed over an axis has a unit coarse
enough for the sum to fit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from las_neuro.graph import SLOTS, Graph, Node, Range

VALUE_BITS = 20
SUM_BITS = 21
# Sums over slots: bits of the largest calibrated sum; bits of a sum over all slots, each 1.
SLOTS_BITS, SLOTS_FULL_BITS = 17, 22
VARIANCE_BITS = 21  # tokens with small values need resolution more than others need headroom
UNMEASURED = Range(1.0, 1.0, 1.0)

# Operators whose own multiplier can give any unit; terms of other operators are rescaled.
FREE = {"linear", "input", "affine", "sum", "reduce", "offset", "function", "leak"}


def fix_units(graph: Graph) -> dict[str, float]:
    """The unit of every node, by name: the real number that payload 1 stands for."""
    units = {node.name: _unit(node) for node in graph}
    for node in graph:
        if node.op == "function" and node["fn"] == "inverse_sqrt":
            (variance,) = node.inputs
            units[variance] = _unit(_before_offset(graph, variance), VARIANCE_BITS)
        elif node.op in ("reduce", "recall") and node["axis"] == SLOTS:
            units[node.name] = _slots_unit(graph, node)
        elif node.op == "product":
            for factor in (graph[name] for name in node.inputs):
                if factor.op == "input":  # so that products with two tables can have one unit
                    units[factor.name] = 2.0 ** math.ceil(math.log2(_unit(factor)))
    for _ in range(len(graph.nodes)):
        if not any([_raise_terms(graph, node, units) for node in graph]):
            break
    return units


def range_of(node: Node) -> Range:
    """The calibrated range of a node, or a nominal one in a plan."""
    return node.range or UNMEASURED


def _unit(node: Node, bits: int = VALUE_BITS) -> float:
    return (range_of(node).peak or 1.0) / 2.0**bits


def _before_offset(graph: Graph, name: str) -> Node:
    """The node whose range sets a variance's unit: eps is too small to need bits."""
    node = graph[name]
    return graph[node.inputs[0]] if node.op == "offset" else node


def _slots_unit(graph: Graph, node: Node) -> float:
    """Unit of a sum over slots, with more headroom: it grows with the length of the text.

    Calibration measures short texts only.
    """
    unit = _unit(node, SLOTS_BITS)
    if node.op == "recall":
        return unit
    slots = graph[node.inputs[0]].axes[SLOTS]  # a softmax numerator is at most about 1
    return max(_unit(node), min(unit, slots / 2.0**SLOTS_FULL_BITS))


def _raise_terms(graph: Graph, node: Node, units: dict[str, float]) -> bool:
    """Coarsen the units of a sum's or reduction's inputs; whether a unit changed."""
    changed = False
    terms = _values(graph, node.inputs)
    products = all(graph[name].op == "product" for name in terms)
    for name in terms:
        unit = 0.0
        if node.op == "sum":
            unit = max(units[term] for term in terms)
            if graph[name].op not in FREE and not products:
                continue
        elif node.op == "reduce" and graph[name].op != "encode":
            unit = (range_of(node).peak or 1.0) / abs(node["factor"]) / 2**SUM_BITS
        if unit > units[name] * (1 + 1e-9):
            units[name], changed = unit, True
    return changed


def _values(graph: Graph, names: Iterable[str]) -> list[str]:
    """The nodes that views and waits read, since these have no unit of their own."""
    values = []
    for name in names:
        node = graph[name]
        while node.op in ("view", "wait"):
            node = graph[node.inputs[0]]
        values.append(node.name)
    return values

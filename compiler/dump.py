"""dump: a graph, lowered network or netlist as text, for `las-compile --dump-after`."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from compiler.lowering.network import LoweredNetwork, LoweredPopulation
from compiler.netlist.text import array_text, text, value_text
from las_neuro.graph import Graph, Node


def dump(network: Any) -> str:
    """One line per node, population or synapse group, then the real factors of a lowered network.

    An array is written as its type, shape and digest.
    """
    if isinstance(network, Graph):
        return "\n".join(_node(node) for node in network) + "\n"
    if isinstance(network, LoweredNetwork):
        scalings = [_scaling(population) for population in network.populations.values()]
        return text(network) + "".join(line for line in scalings if line)
    return text(network)


def _node(node: Node) -> str:
    axes = " ".join(f"{axis}={size}" for axis, size in node.axes.items())
    weights = "".join(f"  {key} {array_text(tensor)}" for key, tensor in node.weights.items())
    attributes = "".join(f"  {key}={_value(value)}" for key, value in node.attributes.items())
    peak = f"  range={node.range.peak:.6g}" if node.range is not None else ""
    inputs = ", ".join(node.inputs)
    return f"{node.name}  {node.op}({inputs})  [{axes}]{weights}{attributes}{peak}"


def _value(value: Any) -> str:
    """Text of an attribute; of rounded weights, their arrays."""
    if hasattr(value, "planes"):
        planes = " ".join(array_text(plane) for plane in value.planes)
        return f"[{planes} scale {array_text(value.scale)}]"
    return value_text(value)


def _scaling(population: LoweredPopulation) -> str:
    if population.scaling is None:
        return ""
    numbers = (
        f"{field.name} {_real(getattr(population.scaling, field.name))}"
        for field in fields(population.scaling)
        if getattr(population.scaling, field.name) is not None
    )
    return f"scaling  {population.name}  {'  '.join(numbers)}\n"


def _real(value: Any) -> str:
    array = np.asarray(value, np.float64)
    return f"{array.item():.9g}" if array.size == 1 else array_text(array)

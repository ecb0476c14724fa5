"""maps: linear maps, sums and products as compartments and the synapses into them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from compiler.lowering.lowering import RESCALE, Lowering
from compiler.lowering.network import Addition, LoweredPopulation, Scaling
from compiler.netlist.model import Dense, Gather, Matrix
from compiler.weights.quantize import FINE, Unweighted, quantize
from las_neuro.graph import Node
from las_neuro.neurons.codes import Code

RELAYED = 2**12  # most payload units that one spike of a relayed neuron counts


def _linear(low: Lowering, node: Node) -> None:
    """One population; with two weight planes, one for each plane and a third that adds them."""
    source, unit, axes = low.source(node), low.units[node.name], low.viewed(node)
    weight, planes = node.weights["weight"], node["planes"]
    bits = node["weight_bits"]
    bias, scale = np.zeros(1), np.ones(1)
    matrices: list[Matrix] = [Unweighted((weight.shape[0], weight.shape[1]))] * planes
    if low.weights:
        rounded = node["rounded"] or quantize(
            weight.load().astype(np.float64) * _spread_of(low, node), planes=planes, bits=bits
        )
        matrices, scale = list(rounded.planes), rounded.scale
        if rounded.bias is not None:
            bias = rounded.bias
        elif "bias" in node.weights:
            bias = node.weights["bias"].load().astype(np.float64)
    factor, bias = scale * source.unit / unit, bias / unit
    if planes == 1:
        target = low.add(node, "integrate", axes, unit, scaling=Scaling(factor, bias), **RESCALE)
        return low.connect(source, target, "a", Dense(matrices[0], bits))
    parts = []
    for place, (name, matrix) in enumerate(zip((".coarse", ".fine"), matrices, strict=True)):
        shared = factor / FINE**place
        parts.append(
            low.add(node, "integrate", axes, unit, name, "part", scaling=Scaling(shared), **RESCALE)
        )
        low.connect(source, parts[-1], "a", Dense(matrix, bits))
    target = low.add(node, "integrate", axes, unit, scaling=Scaling(1.0, bias), **RESCALE)
    for part in parts:
        low.join(part, target, "a")


def _spread_of(low: Lowering, node: Node) -> Any:
    """Spread of the encoder that a node reads: each channel's unit over the encoder's."""
    source = low.graph[node.inputs[0]]
    code = source["code"] if source.op == "encode" else None
    return np.ones(1) if code is None or code.spread is None else code.spread


def _affine(low: Lowering, node: Node) -> None:
    """Factors and a bias; without a bias, encoders multiply a norm's output by the factors."""
    source, unit = low.source(node), low.units[node.name]
    if source.does.spikes.volley is not None:
        # A few spikes need no finer unit, and the multiplier could not reach it.
        unit = max(unit, source.unit / RELAYED)
    gain: Any = np.ones(1)
    bias: Any = 0.0
    if low.weights:
        gain = node.weights["gain"].load().astype(np.float64)
        if "bias" in node.weights:
            bias = node.weights["bias"].load().astype(np.float64) / unit
    gain = gain * _spread_of(low, node).reshape(-1)
    normal = low.graph[node.inputs[0]].op == "product"
    if normal and "bias" not in node.weights and _read_by_encoders(low, node):
        low.population_of[node.name], low.gains[node.name] = source.name, gain
        return
    factor = gain * source.unit / unit
    target = low.add(node, "integrate", source.axes, unit, scaling=Scaling(factor, bias), **RESCALE)
    low.join(source, target, "a")


def _read_by_encoders(low: Lowering, node: Node) -> bool:
    """Whether only encoders of digits read a node."""
    readers = [low.graph[name] for name in low.readers[node.name]]
    return low.read_only_by(node, "encode") and all(isinstance(r["code"], Code) for r in readers)


def _sum(low: Lowering, node: Node) -> None:
    terms = [low.source(node, i) for i in range(len(node.inputs))]
    unit = max(term.unit for term in terms)
    alike = [term.n for term in terms if term.unit == unit]
    if node.range is None and len(alike) > 1:  # calibration may give them different units
        more = Addition(node.name, len(alike) - 1, sum(alike) - min(alike))
        low.net.additions.append(more)
    terms = [
        term if term.unit == unit else low.rescale(term, node, unit, f".term{i}", "part")
        for i, term in enumerate(terms)
    ]
    widest, out = max(terms, key=lambda term: term.n), low.units[node.name]
    target = low.add(node, "integrate", widest.axes, out, scaling=Scaling(unit / out), **RESCALE)
    for term, sign in zip(terms, node["signs"], strict=True):
        low.join(term, target, "a", sign)


def _product(low: Lowering, node: Node) -> None:
    target = multiply(low, node, low.source(node, 0), low.source(node, 1))
    for i, port in enumerate(("a", "b")):
        low.join_input(node, i, target, port)


def multiply(
    low: Lowering, node: Node, a: LoweredPopulation, b: LoweredPopulation
) -> LoweredPopulation:
    """Add a product whose unit is that of a * b times a power of two.

    The smallest such unit that is not below the node's.
    """
    exact = a.unit * b.unit
    shift = max(0, int(np.ceil(np.log2(low.units[node.name] / exact) - 1e-9)))
    axes = max((a, b), key=lambda x: x.n).axes
    return low.add(node, "product", axes, exact * 2.0**shift, shift=shift)


def _turn(low: Lowering, node: Node) -> None:
    """A permutation with signs: of the synapses into products, else of relay compartments."""
    source = low.source(node)
    index = np.asarray(node["index"], np.int32)
    form = Gather(index, np.asarray(node["sign"], np.int8))
    if low.read_only_by(node, "product"):
        low.population_of[node.name], low.turns[node.name] = source.name, form
        return
    target = low.add(node, "integrate", source.axes, source.unit, scaling=Scaling(1.0), **RESCALE)
    low.connect(source, target, "a", form)


def _view(low: Lowering, node: Node) -> None:
    low.population_of[node.name] = low.population_of[node.inputs[0]]


def _output(low: Lowering, node: Node) -> None:
    low.net.output, low.net.output_kind = low.population_of[node.inputs[0]], node["kind"]


RULES: dict[str, Callable[[Lowering, Node], None]] = {
    "linear": _linear,
    "affine": _affine,
    "sum": _sum,
    "product": _product,
    "turn": _turn,
    "view": _view,
    "output": _output,
}

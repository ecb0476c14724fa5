"""codes: encode values as spikes, by digits or by neurons with tables of thresholds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from compiler.lowering.lowering import Lowering
from compiler.lowering.network import LoweredPopulation, Scaling
from compiler.netlist.kinds.encode import MOST_DIGIT_BITS
from compiler.netlist.model import HostTable, InMemory
from compiler.weights.quantize import TableRows
from las_neuro.graph import Node
from las_neuro.neurons.codes import Code
from las_neuro.neurons.firing import LEAK, Firing


def _input(low: Lowering, node: Node) -> None:
    unit = low.units[node.name]
    target = low.add(node, "input", low.viewed(node), unit)
    if node["source"] == "patch":
        rows: Any = InMemory(np.zeros((0, target.n), np.int32))
    else:
        rows = TableRows(node.weights["table"], unit)
    low.net.tables.append(HostTable(target.name, node["source"], node["offset"], rows))


def _encode(low: Lowering, node: Node) -> None:
    source = low.source(node)
    code: Code | Firing = node["code"]
    if isinstance(code, Firing):
        fire(low, node, source, code)
        return
    shift = code.outlier_shift if code.outliers is not None and code.outliers.any() else 0
    outliers = np.asarray(code.outliers if shift else [False])
    skipped = np.asarray([0] if code.skipped is None else code.skipped)
    gain = low.gains.get(node.inputs[0])
    spread = 1.0 if code.spread is None else code.spread
    factor = (1.0 if gain is None else gain) * source.unit / code.unit / spread
    target = low.add(
        node,
        "encode",
        source.axes,
        code.unit,
        scaling=Scaling(factor, gain=gain),
        steps=code.digits,
        digits=code.digits,
        digit_bits=MOST_DIGIT_BITS if code.form == "graded" else 1,  # until fit_digits
        signed_digit=int(code.form == "signed-digit"),
        skipped=skipped.astype(np.int64).reshape(-1),
        outlier_shift=shift,
        outliers=outliers.astype(np.int64).reshape(-1),
    )
    low.join(source, target, "x")


def fire(
    low: Lowering,
    node: Node,
    source: LoweredPopulation,
    code: Firing,
    suffix: str = "",
    role: str = "value",
) -> LoweredPopulation:
    """A population of neurons that fire by the tables of `code`, connected to `source`."""
    lift = np.zeros(1, np.int64) if code.lift is None else code.lift
    target = low.add(
        node,
        "fire",
        source.axes,
        code.unit,
        suffix,
        role,
        scaling=Scaling(source.unit * code.factor),
        offset=code.offset,
        low=code.low,
        high=code.high,
        theta=np.array(code.theta, np.int64),
        reset=np.array(code.reset, np.int64),
        send=np.array(code.send, np.int64),
        level=code.level,
        most=code.most,
        lift=lift,
        steps=code.steps,
        drive=int(code.drive),
        signed=int(code.signed),
        strict=int(code.strict),
    )
    low.join(source, target, "x")
    return target


def _leak(low: Lowering, node: Node) -> None:
    """A leak that repeats its neuron's threshold test, so that it fires at the same steps."""
    source, code, unit = low.source(node), node["code"], low.units[node.name]
    target = low.add(
        node,
        "leak",
        source.axes,
        unit,
        scaling=Scaling(source.unit * code.factor, gain=LEAK * code.unit * source.unit / unit),
        threshold=code.theta[0],
    )
    low.join(source, target, "x")


RULES: dict[str, Callable[[Lowering, Node], None]] = {
    "input": _input,
    "encode": _encode,
    "leak": _leak,
}

"""lower: a SpikingGraph becomes populations of primitive compartments and synapse groups.

Needs: phases and units.  Leaves: unscheduled populations; `integrate` populations carry their real
rescaling (`factor`, `bias_value`) until fold_scales turns it into integers.  One rule an operator;
attention's are in lower_attention,
norms' in lower_norm.  Without weights (planning) shapes are lowered all the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.arrays import WORD_LIMIT
from compiler.netlist.declaration import MOST_DIGIT_BITS
from compiler.netlist.model import (
    Dense,
    Form,
    Gather,
    Held,
    HostTable,
    Matrix,
    Netlist,
    Pattern,
    Population,
    Synapses,
)
from compiler.passes.fit_functions import (
    OCTAVE_BUDGET,
    SEGMENT_BUDGET,
    Fit,
    octave_fit,
    segment_fit,
)
from compiler.passes.fix_units import fix_units, seen
from compiler.passes.quantize import FINE, TableRows, Unweighted, quantize
from las_neuro.codes import Code
from las_neuro.errors import ConfigError
from las_neuro.firing import LEAK, Firing
from las_neuro.graph import Axes, Graph, Node

Progress = Callable[[str, int, int], None]  # stage, done, of

WEIGHTIEST = 2**15 - 1  # factor that a compartment's multiplier can hold
RELAYED = 2**12  # payload units that one spike of a relayed neuron counts, at most
RESCALE: Mapping[str, Any] = {"low": -WORD_LIMIT, "high": WORD_LIMIT, "gated": 0}


class Lowering:
    """The netlist being built, and what earlier rules made: node -> population."""

    def __init__(self, graph: Graph, *, weights: bool) -> None:
        self.graph = graph
        self.weights = weights
        self.units = fix_units(graph)
        self.readers = graph.readers()
        self.made: dict[str, str] = {}
        self.parts: dict[str, list[Population]] = {}  # node -> what holds its values together
        memories = [node for node in graph if node.op == "memory"]
        self.groups: int = memories[0].attrs["groups"] if memories else 1
        self.heads: int = memories[0].axes["h"] if memories else 1
        self.net = Netlist(graph.family, graph.causal, graph.context, graph.vocabulary, "", "")

    def source(self, node: Node, i: int = 0) -> Population:
        """Population that sends the i-th input of a node."""
        return self.net.populations[self.made[node.inputs[i]]]

    def add(
        self, node: Node, kind: str, axes: Axes, unit: float, suffix: str = "", **params: Any
    ) -> Population:
        """A population that computes (part of) `node`."""
        name = node.name + suffix
        params["phase"] = node.attrs["phase"]
        made = Population(name, kind, axes, params, layer=node.layer, unit=unit, node=node.name)
        self.net.populations[name] = made
        if not suffix:
            self.made[node.name] = name
        return made

    def join(
        self, source: Population, target: Population, port: str, weight: int = 1, **more: Any
    ) -> None:
        """Synapses along the axes both share: copies and sums over the others."""
        form = Pattern(tuple(source.axes), tuple(target.axes), weight)
        self.connect(source, target, port, form, **more)

    def connect(
        self, source: Population, target: Population, port: str, form: Form, **more: Any
    ) -> None:
        self.net.synapses.append(Synapses(source.name, target.name, port, form, **more))

    def rescale(self, source: Population, node: Node, unit: float, suffix: str) -> Population:
        """The same values in another unit."""
        made = self.add(
            node, "integrate", source.axes, unit, suffix, factor=source.unit / unit, **RESCALE
        )
        self.join(source, made, "a")
        return made

    def grouped(self, axes: Axes) -> Axes:
        """Query heads {h} as key-value heads and the queries that share one {k, g}."""
        out: Axes = {}
        for axis, size in axes.items():
            if axis == "h" and size != self.heads:
                out["k"] = size
            elif axis == "h":
                out |= {"k": size // self.groups, "g": self.groups}
            else:
                out[axis] = size
        return out

    def viewed(self, node: Node) -> Axes:
        """Axes a node's readers see it under: those of a view, else its own."""
        for name in self.readers[node.name]:
            if self.graph[name].op == "view":
                return self.grouped(self.graph[name].axes)
        return self.grouped(node.axes)


def lower(graph: Graph, *, weights: bool = True, progress: Progress | None = None) -> Netlist:
    """Lower every node in order; progress(stage, done, of), since weights are rounded here."""
    from compiler.passes import lower_attention, lower_norm

    rules: dict[str, Callable[[Lowering, Node], None]] = {
        "input": _input,
        "encode": _encode,
        "linear": _linear,
        "affine": _affine,
        "sum": _sum,
        "product": _product,
        "function": _function,
        "leak": _leak,
        "turn": _turn,
        "view": _view,
        "output": _output,
        **lower_attention.RULES,
        **lower_norm.RULES,
    }
    low = Lowering(graph, weights=weights)
    for done, node in enumerate(graph, start=1):
        rules[node.op](low, node)
        if progress:
            progress("lower", done, len(graph.nodes))
    return low.net


def _input(low: Lowering, node: Node) -> None:
    unit = low.units[node.name]
    made = low.add(node, "input", low.viewed(node), unit)
    if node.attrs["source"] == "patch":
        rows: Any = Held(np.zeros((0, made.n), np.int32))
    else:
        rows = TableRows(node.weights["table"], unit)
    low.net.tables.append(HostTable(made.name, node.attrs["source"], node.attrs["offset"], rows))


def _encode(low: Lowering, node: Node) -> None:
    source = low.source(node)
    code: Code | Firing = node.attrs["code"]
    if isinstance(code, Firing):
        fire(low, node, source, code)
        return
    shift = code.outlier_shift if code.outliers is not None and code.outliers.any() else 0
    outliers = np.asarray(code.outliers if shift else [False])
    skipped = np.asarray([0] if code.skipped is None else code.skipped)
    made = low.add(
        node,
        "encode",
        source.axes,
        code.unit,
        factor=source.unit / code.unit / (1.0 if code.spread is None else code.spread),
        steps=code.digits,
        digits=code.digits,
        digit_bits=MOST_DIGIT_BITS if code.form == "graded" else 1,  # until fit_digits
        signed_digit=int(code.form == "signed-digit"),
        skipped=skipped.astype(np.int64).reshape(-1),
        outlier_shift=shift,
        outliers=outliers.astype(np.int64).reshape(-1),
    )
    low.join(source, made, "x")


def fire(
    low: Lowering, node: Node, source: Population, code: Firing, suffix: str = ""
) -> Population:
    """Neurons by tables; the factor of each compartment takes its lift out again."""
    lift = np.zeros(1, np.int64) if code.lift is None else code.lift
    made = low.add(
        node,
        "fire",
        source.axes,
        code.unit,
        suffix,
        factor=source.unit * code.factor,
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
    low.join(source, made, "x")
    return made


def _linear(low: Lowering, node: Node) -> None:
    """One population, or two that each sum a plane of the weights and a third that adds them."""
    source, unit, axes = low.source(node), low.units[node.name], low.viewed(node)
    weight, planes = node.weights["weight"], node.attrs.get("planes", 1)
    bits = node.attrs.get("weight_bits", 8)
    bias, scale = np.zeros(1), np.ones(1)
    matrices: list[Matrix] = [Unweighted((weight.shape[0], weight.shape[1]))] * planes
    if low.weights:
        rounded = node.attrs.get("rounded") or quantize(
            weight.load().astype(np.float64) * _spread_of(low, node), planes=planes, bits=bits
        )
        matrices, scale = list(rounded.planes), rounded.scale
        if rounded.bias is not None:
            bias = rounded.bias
        elif "bias" in node.weights:
            bias = node.weights["bias"].load().astype(np.float64)
    factor, bias = scale * source.unit / unit, bias / unit
    if planes == 1:
        made = low.add(node, "integrate", axes, unit, factor=factor, bias_value=bias, **RESCALE)
        return low.connect(source, made, "a", Dense(matrices[0], bits))
    parts = []
    for place, (name, matrix) in enumerate(zip((".coarse", ".fine"), matrices, strict=True)):
        shared = factor / FINE**place
        parts.append(low.add(node, "integrate", axes, unit, name, factor=shared, **RESCALE))
        low.connect(source, parts[-1], "a", Dense(matrix, bits))
    made = low.add(node, "integrate", axes, unit, factor=1.0, bias_value=bias, **RESCALE)
    for part in parts:
        low.join(part, made, "a")


def _spread_of(low: Lowering, node: Node) -> Any:
    """Units of the channels of the encoder that a node reads, over the encoder's."""
    source = low.graph[node.inputs[0]]
    code = source.attrs["code"] if source.op == "encode" else None
    return np.ones(1) if code is None or code.spread is None else code.spread


def _affine(low: Lowering, node: Node) -> None:
    source, unit = low.source(node), low.units[node.name]
    if (
        source.kind == "fire"
    ):  # a few spikes: fine units say no more, and no multiplier reaches them
        unit = max(unit, source.unit / RELAYED)
    gain: Any = np.ones(1)
    bias: Any = 0.0
    if low.weights:
        gain = node.weights["gain"].load().astype(np.float64)
        if "bias" in node.weights:
            bias = node.weights["bias"].load().astype(np.float64) / unit
    factor = gain * _spread_of(low, node).reshape(-1) * source.unit / unit
    made = low.add(node, "integrate", source.axes, unit, factor=factor, bias_value=bias, **RESCALE)
    low.join(source, made, "a")


def _sum(low: Lowering, node: Node) -> None:
    terms = [low.source(node, i) for i in range(len(node.inputs))]
    unit = max(term.unit for term in terms)
    terms = [
        term if term.unit == unit else low.rescale(term, node, unit, f".term{i}")
        for i, term in enumerate(terms)
    ]
    widest, out = max(terms, key=lambda term: term.n), low.units[node.name]
    made = low.add(node, "integrate", widest.axes, out, factor=unit / out, **RESCALE)
    for term, sign in zip(terms, node.attrs["signs"], strict=True):
        low.join(term, made, "a", sign)


def _product(low: Lowering, node: Node) -> None:
    multiply(low, node, low.source(node, 0), low.source(node, 1))


def multiply(low: Lowering, node: Node, a: Population, b: Population) -> None:
    """a b in the finest unit that is a * b's times a power of two and not below the wanted one."""
    exact = a.unit * b.unit
    shift = max(0, int(np.ceil(np.log2(low.units[node.name] / exact) - 1e-9)))
    axes = max((a, b), key=lambda x: x.n).axes
    made = low.add(node, "product", axes, exact * 2.0**shift, shift=shift)
    low.join(a, made, "a")
    low.join(b, made, "b")


def _function(low: Lowering, node: Node) -> None:
    source, fn, unit = low.source(node), node.attrs["fn"], low.units[node.name]
    if "few_spikes" in node.attrs:
        return _few_spikes(low, node, source)
    if fn == "relu":
        rectify = {**RESCALE, "low": 0}
        made = low.add(node, "integrate", source.axes, unit, factor=source.unit / unit, **rectify)
        return low.join(source, made, "a")
    if fn in ("reciprocal", "inverse_sqrt"):
        budget, kind = error_budget(node, OCTAVE_BUDGET), "octave"
        fit = octave_fit(fn == "inverse_sqrt", source.unit, unit, budget)
    else:
        budget, kind = segment_budget(node), "segment"
        unit = _binary_multiple(low, node, source.unit)
        fit = segment_fit(fn, source.unit, unit, budget)
    made = low.add(node, kind, source.axes, unit, **kept(node, fit))
    low.join(source, made, "x")


def _few_spikes(low: Lowering, node: Node, source: Population) -> None:
    """Imported tables: thresholds and resets in the source's unit, spike values in the result's."""
    domains, unit = node.attrs["few_spikes"], low.units[node.name]
    tables: dict[str, Any] = {
        "edges": _payloads(node, [one.low for one in domains], source.unit),
        "theta": _payloads(node, [x for one in domains for x in one.theta], source.unit),
        "reset": _payloads(node, [x for one in domains for x in one.h], source.unit),
        "d": _payloads(node, [x for one in domains for x in one.d], unit),
    }
    count = len(domains[0].theta)
    made = low.add(node, "few_spikes", source.axes, unit, count=count, **tables)
    low.join(source, made, "x")


def _payloads(node: Node, values: list[float], unit: float) -> NDArray[np.int64]:
    """Real numbers in units of a payload; an infinite threshold is beyond every word."""
    scaled = np.rint(np.clip(np.asarray(values, np.float64) / unit, -WORD_LIMIT, WORD_LIMIT))
    return np.asarray(scaled, np.int64)


def error_budget(node: Node, default: float) -> float:
    """What the graph asks for: last places of a bounded function, else a share of the value."""
    return float(node.attrs.get("hg_error", default))


def segment_budget(node: Node) -> float:
    """A spike code's step follows the 0.999 quantile, not the peak that the unit follows."""
    usual = seen(node).q999 / (seen(node).peak or 1.0)
    return error_budget(node, SEGMENT_BUDGET * max(usual, 1 / 64))


def kept(node: Node, fit: Fit) -> Mapping[str, Any]:
    """The fit's table, where it is as near as the graph asks for."""
    asked = node.attrs.get("hg_error", fit.error)
    if fit.error > asked:
        raise ConfigError(
            f"{node.name}: {fit.lines} lines, the most there may be, are off by {fit.error:.3g}; "
            f"hg_error is {asked:.3g}",
            f"allow at least {fit.error:.3g}",
        )
    return fit.table


def _binary_multiple(low: Lowering, node: Node, unit_in: float) -> float:
    """The node's unit, or unit_in * 2**k where its readers take any unit.

    An asymptote's slope is then exact; a rounded one is some units off at the end of the word.
    """
    unit = low.units[node.name]
    if {low.graph[name].op for name in low.readers[node.name]} <= {"encode", "product", "square"}:
        return float(unit_in * 2.0 ** round(math.log2(unit / unit_in)))
    return unit


def _leak(low: Lowering, node: Node) -> None:
    """Tests its potential as the neuron beside it does, so that both see the same spike."""
    source, code, unit = low.source(node), node.attrs["code"], low.units[node.name]
    made = low.add(
        node,
        "leak",
        source.axes,
        unit,
        factor=source.unit * code.factor,
        threshold=code.theta[0],
        gain_value=LEAK * code.unit * source.unit / unit,
    )
    low.join(source, made, "x")


def _turn(low: Lowering, node: Node) -> None:
    """A permutation with signs: kept as a value of its own, one relay compartment each."""
    source = low.source(node)
    made = low.add(node, "integrate", source.axes, source.unit, factor=1.0, **RESCALE)
    index = np.asarray(node.attrs["index"], np.int32)
    low.connect(source, made, "a", Gather(index, np.asarray(node.attrs["sign"], np.int8)))


def _view(low: Lowering, node: Node) -> None:
    low.made[node.name] = low.made[node.inputs[0]]


def _output(low: Lowering, node: Node) -> None:
    low.net.output, low.net.output_kind = low.made[node.inputs[0]], node.attrs["kind"]

"""bounds: the most that every operator of a netlist may add to its exact float function.

In: a netlist, the calibrated graph it was compiled from, and a node's actual inputs and exact
result as doubles.  Out: a `Bound`, element by element, of what rounding may do to that node where
nothing wraps.  Everything is read off the netlist's own numbers: units, multipliers, cuts, tables.

An operator's error has two parts.  Constants that were rounded when the netlist was made (weights,
gains, biases, 15-bit multipliers) move the result by an amount that follows from the inputs and is
computed exactly: `foreseen`.  What a run rounds after that is at most `rounding`:

    |payload * unit - exact - foreseen| <= rounding,   |foreseen| <= constants

Where a result saturates, the amount that is cut off counts as rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bounds import staircase
from bounds.bound import Bound, beyond, limited, rescaled, rescaling
from compiler.functions.fit_functions import (
    ANTILOG_BUDGET,
    OCTAVE_BUDGET,
    antilog_fit,
    octave_fit,
    segment_fit,
)
from compiler.lowering.functions import error_budget, segment_budget
from compiler.netlist.model import Dense, Gather, Netlist, Population, Written
from compiler.netlist.wiring import Wiring
from las_neuro.graph import Graph, Node

Doubles = NDArray[np.float64]


class Bounds:
    """The bounds of one netlist's nodes."""

    def __init__(self, net: Netlist, graph: Graph) -> None:
        self.net, self.graph = net, graph
        self.wiring = Wiring(net)
        self.matrices: dict[str, Doubles] = {}

    def of(self, node: Node, operands: Sequence[Doubles], exact: Doubles) -> Bound:
        """What `node` may add; exact and operands, of the nodes that it `reads`, [B, S, *axes]."""
        return RULES[node.op](self, node, operands, exact)

    def reads(self, node: Node) -> tuple[str, ...]:
        """The nodes whose values its population gets: an offset sums what its reduction would."""
        return self.summed(node).inputs

    def summed(self, node: Node) -> Node:
        """The reduction that an offset's population computes; else the node itself."""
        before = self.graph[node.inputs[0]] if node.op == "offset" else node
        return node if before.name in self.net.populations else before

    def sources(self, population: Population, port: str = "a") -> list[Population]:
        return [self.wiring.ends(group)[0] for group in self.wiring.into(population.name, port)]

    def gain(self, node: Node) -> Doubles:
        """The factors [n] that an encoder's multipliers contain, of a node without a population."""
        before = self.graph[node.inputs[0]]
        if before.op != "affine" or before.name in self.net.populations:
            return np.ones(1)
        return np.asarray(before.weights["gain"].load(), np.float64).reshape(-1)

    def aligned(self, node: Node, operands: Sequence[Doubles]) -> list[Doubles]:
        """Operands with size-1 axes where they lack an axis of the result."""
        found = []
        for name, x in zip(node.inputs, operands, strict=True):
            missing = [2 + i for i, a in enumerate(node.axes) if a not in self.graph[name].axes]
            found.append(np.expand_dims(x, missing))
        return found


def _input(b: Bounds, node: Node, _: Sequence[Doubles], exact: Doubles) -> Bound:
    """The host rounds to nearest: half a unit."""
    population = b.net.populations[node.name]
    none = np.zeros_like(exact)
    return Bound(none, none, 0.5 * population.unit + beyond(population, exact))


def _encode(b: Bounds, node: Node, operands: Sequence[Doubles], exact: Doubles) -> Bound:
    """To the nearest step of the code: half a step, nothing where a payload is whole steps.

    A channel that skips s digits is then rounded to 2**s steps, an outlier to 2**k steps: half of
    that more.  Where all channels share one multiplier, its 15 bits are off by a share of the
    value; a channel's own multiplier is its unit.  A norm's gain may be in the multiplier.
    """
    population = b.net.populations[node.name]
    if population.kind == "fire":
        return staircase.spikes(b.net, population, node["code"], operands[0], exact)
    (source,) = b.sources(population, "x")
    p = population.params
    units, top = _shaped(b.net.units(population.name), node), node["code"].top
    factor = np.asarray(p["multiplier"], np.float64) / 2.0 ** np.asarray(p["shift"])
    gain = b.gain(node)
    told = factor * b.net.units(population.name) / source.unit
    share = _shaped(np.where(gain == 0, 1.0, told / np.where(gain == 0, 1.0, gain)) - 1.0, node)
    coarse = 2.0 ** _shaped(np.asarray(p["skipped"], np.float64), node)
    can = _shaped(np.asarray(p["outliers"], np.float64), node) * bool(p["outlier_shift"])
    # An outlier is what rounds to more than the digits hold; one step less is on the safe side.
    loud = np.abs(exact) >= (top - coarse) * units
    step = coarse * np.where(loud, 2.0 ** (can * p["outlier_shift"]), 1.0)
    first = 0.5 * _shaped(np.asarray(factor != np.rint(factor), np.float64), node)
    highest = np.floor(top / coarse) * coarse * 2.0 ** (can * p["outlier_shift"]) * units
    rounding = (first + 0.5 * step * (step > 1.0)) * units * np.ones_like(exact)
    bound = Bound(exact * share, np.abs(exact * share), rounding)
    return limited(bound, lambda y: np.maximum(np.abs(y) - highest, 0.0), exact)


def _leak(b: Bounds, node: Node, operands: Sequence[Doubles], exact: Doubles) -> Bound:
    population = b.net.populations[node.name]
    return staircase.left(b.net, population, node["code"], operands[0], exact)


def _linear(b: Bounds, node: Node, operands: Sequence[Doubles], exact: Doubles) -> Bound:
    """sum_j (w'_ij - w_ij) x_j is foreseen; the constants' bound is sum_j |w'_ij - w_ij| |x_j|.

    w' is the weight that the int8 planes and the receivers' multipliers stand for.  Rounded to
    nearest, |w' - w| <= scale_i / 2 (two planes: scale_i / 256) plus the multiplier's 2**-15 of
    |w|.  Rounded to second order a weight also takes up the errors of columns before it, and no
    such figure holds: so the bound takes the difference there is.  Then cuts and multiplier round;
    of two planes, each by itself.
    """
    population = b.net.populations[node.name]
    parts = _parts(b, population)
    unit = population.unit
    if node.name not in b.matrices:
        b.matrices[node.name] = sum(
            (rescaling(part)[0][:, None] * _weights(b, part) for part in parts), np.zeros(())
        ) * unit - node.weights["weight"].load().astype(np.float64)
    wrong, x = b.matrices[node.name], operands[0].reshape(*operands[0].shape[:2], -1)
    bias = node.weights["bias"].load().astype(np.float64) if "bias" in node.weights else 0.0
    moved = np.asarray(population.params["bias"]) * unit - bias
    rounding = unit * sum((rescaling(part)[1] for part in parts), np.zeros(()))
    bound = Bound(
        x @ wrong.T + moved,
        np.abs(x) @ np.abs(wrong).T + np.abs(moved),
        np.broadcast_to(rounding, exact.shape),
    )
    return limited(bound, lambda y: beyond(population, y), exact)


def _parts(b: Bounds, population: Population) -> list[Population]:
    """The population itself, or the two planes it adds."""
    groups = b.wiring.into(population.name)
    if any(isinstance(group.form, Dense) for group in groups):
        return [population]
    return [b.net.populations[group.source] for group in groups]


def _weights(b: Bounds, part: Population) -> Doubles:
    """int8 weights [n_post, n_pre] for values, not steps, of their source."""
    (group,) = b.wiring.into(part.name)
    assert isinstance(group.form, Dense)
    return np.asarray(group.form.weights.load().astype(np.float64) / b.net.units(group.source))


def _affine(b: Bounds, node: Node, operands: Sequence[Doubles], exact: Doubles) -> Bound:
    """Each gain is a 15-bit multiplier, the bias a payload: both foreseen; half a payload."""
    population = b.net.populations[node.name]
    (source,) = b.sources(population)
    gain, loss = rescaling(population)
    units = b.net.units(source.name)  # of neurons with thresholds of their own, by channel
    wrong = gain * population.unit / units - node.weights["gain"].load().astype(np.float64)
    bias = node.weights["bias"].load().astype(np.float64) if "bias" in node.weights else 0.0
    moved = np.asarray(population.params["bias"]) * population.unit - bias
    x = operands[0]
    bound = Bound(
        x * wrong + moved,
        np.abs(x * wrong) + np.abs(moved),
        np.broadcast_to(loss * population.unit, exact.shape),
    )
    return limited(bound, lambda y: beyond(population, y), exact)


def _sum(b: Bounds, node: Node, operands: Sequence[Doubles], exact: Doubles) -> Bound:
    """Terms in a common unit add exactly; a term that was rescaled lost half a unit before."""
    population = b.net.populations[node.name]
    gain, loss = rescaling(population)
    foreseen, constants = np.zeros_like(exact), np.zeros_like(exact)
    rounding = np.broadcast_to(loss * population.unit, exact.shape)
    terms = zip(b.sources(population), node["signs"], b.aligned(node, operands), strict=True)
    for source, sign, x in terms:
        factor: Any = gain * population.unit / source.unit
        if source.node == node.name:
            before, lost = rescaling(source)
            rounding = rounding + np.abs(factor) * lost * source.unit
            factor = factor * before * source.unit / b.sources(source)[0].unit
        foreseen = foreseen + sign * (factor - 1.0) * x
        constants = constants + np.abs((factor - 1.0) * x)
    bound = Bound(foreseen, constants, rounding)
    return limited(bound, lambda y: beyond(population, y), exact)


def _reduce(b: Bounds, node: Node, operands: Sequence[Doubles], exact: Doubles) -> Bound:
    """A plain sum is exact, one of a spike code is cut; then the multiplier's half a payload.

    Squares in two ranges are parts that only this sum puts together, so each square's own half
    unit counts here.  The bias holds an offset's constant, rounded to a payload.
    """
    population, reduce = b.net.populations[node.name], b.summed(node)
    place = 2 + list(b.graph[reduce.inputs[0]].axes).index(reduce["axis"])
    factor, constant = reduce["factor"], node["constant"] if node.op == "offset" else 0.0
    moved = float(np.asarray(population.params["bias"]).ravel()[0]) * population.unit - constant
    foreseen, constants = np.full_like(exact, moved), np.full_like(exact, abs(moved))
    _, loss = rescaling(population)
    rounding = np.full_like(exact, float(loss.max()) * population.unit)
    for part in _summed(b, population):
        source, x = b.sources(part)[0], operands[0]
        gain, lost = rescaling(part)
        step = float(gain.max()) * part.unit  # one payload of the source
        share = step / float(b.net.units(source.name).max()) / factor - 1.0
        if part is not population:
            x = x[..., _channels(b, source)]
            lossy = 0.5 * (source.params["shift"] > 0)
            rounding = rounding + abs(step) * lossy * source.n + float(lost.max()) * part.unit
        foreseen = foreseen + share * factor * x.sum(axis=place)
        constants = constants + abs(share * factor) * np.abs(x).sum(axis=place)
    return limited(Bound(foreseen, constants, rounding), lambda y: beyond(population, y), exact)


def _summed(b: Bounds, population: Population) -> list[Population]:
    """The population itself, or the two ranges that it puts together."""
    sources = b.sources(population)
    return sources if sources[0].node == population.node else [population]


def _channels(b: Bounds, squares: Population) -> NDArray[np.int32]:
    form = b.wiring.into(squares.name)[0].form
    assert isinstance(form, Gather)
    return form.index


def _product(b: Bounds, node: Node, _: Sequence[Doubles], exact: Doubles) -> Bound:
    """Units multiply exactly; the shift rounds to nearest: half a payload, nothing without one.

    A square held in parts is exact here, its error counts where it is summed.
    """
    none = np.zeros_like(exact)
    population = b.net.populations.get(node.name)
    if population is None:
        return Bound(none, none, none)
    half = 0.5 * population.unit * (population.params["shift"] > 0)
    return Bound(none, none, half + beyond(population, exact))


def _function(b: Bounds, node: Node, operands: Sequence[Doubles], exact: Doubles) -> Bound:
    """The table's stated error, which holds for every input (fit_functions.Fit)."""
    population = b.net.populations[node.name]
    fn, unit = node["fn"], population.unit
    if fn == "relu":
        (source,) = b.sources(population)
        share = rescaling(population)[0] * unit / source.unit - 1.0
        return rescaled(population, share, np.abs(exact), exact)
    (source,) = b.sources(population, "x")
    none = np.zeros_like(exact)
    if fn in ("reciprocal", "inverse_sqrt"):
        budget = error_budget(node, OCTAVE_BUDGET)
        fit = octave_fit(fn == "inverse_sqrt", source.unit, unit, budget)
        rounding = fit.error * np.abs(exact) + 0.5 * unit
    else:
        fit = segment_fit(fn, source.unit, unit, segment_budget(node))
        rounding = np.full_like(exact, fit.error * unit)
    _same_table(population, fit.table)
    return Bound(none, none, rounding + beyond(population, exact))


def _same_table(population: Population, table: Any) -> None:
    """The stated error is of the very table that the netlist holds."""
    for key, value in table.items():
        if not np.array_equal(population.params[key], value):
            raise ValueError(f"{population.name}: its {key} is not the fitted table's")


def _exponential(b: Bounds, node: Node, operands: Sequence[Doubles], exact: Doubles) -> Bound:
    """The table's stated relative error and half a payload; the largest weight is foreseen.

    That is all ones in its code instead of 1.
    """
    population = b.net.populations[node.name]
    p, unit = population.params, population.unit
    codes = (reader["code"] for reader in b.graph if node.name in reader.inputs)
    code = max(codes, key=lambda code: code.digits)
    one = int(code.top * code.unit / unit)
    fit = antilog_fit(p["fraction_bits"], one, error_budget(node, ANTILOG_BUDGET))
    _same_table(population, fit.table)
    foreseen = exact * (one * unit - 1.0)
    return Bound(foreseen, np.abs(foreseen), fit.error * exact * one * unit + 0.5 * unit)


def _maximum(b: Bounds, node: Node, operands: Sequence[Doubles], exact: Doubles) -> Bound:
    """The leading bits, the rest ones: the reference may stand that far above the maximum.

    A softmax is the same for any reference, so nothing of this reaches the model's output.
    """
    (compete,) = [p for p in b.net.populations.values() if p.name == f"{node.name}.compete"]
    most = (2.0 ** compete.params["drop"] - 1.0) * b.net.populations[node.name].unit
    none = np.zeros_like(exact)
    return Bound(none, none, np.full_like(exact, most))


def _turn(b: Bounds, node: Node, operands: Sequence[Doubles], exact: Doubles) -> Bound:
    """Copied with its sign."""
    return rescaled(b.net.populations[node.name], 0.0, np.abs(exact), exact)


def _memory(b: Bounds, node: Node, operands: Sequence[Doubles], exact: Doubles) -> Bound:
    """Rescaled to the stored unit: the multiplier's share and half a stored unit."""
    population = b.net.populations[node.name]
    if population.kind == "fire":
        return staircase.written(b.net, population, operands[0], exact)
    (source,) = b.sources(population)
    share = rescaling(population)[0] * population.unit / source.unit - 1.0
    return rescaled(population, float(share.max()), np.abs(exact), exact)


def _wait(b: Bounds, node: Node, operands: Sequence[Doubles], exact: Doubles) -> Bound:
    """Rescaled by a power of two to the unit of the written weights, and back without a loss."""
    (group,) = b.wiring.into(node.name, "a")
    assert isinstance(group.form, Written)
    return rescaled(b.net.populations[group.form.value], 0.0, np.abs(exact), exact)


def _recall(b: Bounds, node: Node, operands: Sequence[Doubles], exact: Doubles) -> Bound:
    """Stored values times spikes add exactly between cuts; then cuts and multiplier round."""
    population = b.net.populations[node.name]
    (group,) = b.wiring.into(population.name, "a")
    assert isinstance(group.form, Written)
    stored = b.net.populations[group.form.value]
    step = stored.unit * float(b.net.units(group.source).max())
    gain, _ = rescaling(population)
    share = float(gain.max()) * population.unit / step / node["factor"] - 1.0
    size = np.where(np.isfinite(exact), np.abs(exact), 0.0)
    offset = int(np.max(population.params["bias"]))
    return rescaled(population, share, size, np.where(np.isfinite(exact), exact, 0.0), offset)


def _shaped(x: Doubles, node: Node) -> Doubles:
    """One value, or one a compartment, under the node's axes."""
    return x.reshape(list(node.axes.values())) if x.size > 1 else x.reshape(1)


Rule = Callable[[Bounds, Node, Sequence[Doubles], Doubles], Bound]
RULES: dict[str, Rule] = {
    "input": _input,
    "encode": _encode,
    "leak": _leak,
    "linear": _linear,
    "affine": _affine,
    "sum": _sum,
    "reduce": _reduce,
    "offset": _reduce,
    "product": _product,
    "square": _product,
    "function": _function,
    "exponential": _exponential,
    "maximum": _maximum,
    "turn": _turn,
    "memory": _memory,
    "wait": _wait,
    "recall": _recall,
}

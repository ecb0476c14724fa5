"""lower_norm: mean squares, in two ranges where a few channels are far louder than the rest.

A norm sums x^2 over its channels in one 24-bit word.  Trained models have a few channels whose
squares are 1e4 times the others' (LLM.int8(), arXiv 2208.07339): a unit coarse enough for them
leaves a quiet token a handful of steps.  So, as an OAT encoder keeps an outlier sub-neuron only
where calibration saw outliers, the loud channels get squares and a sum of their own:

    quiet   product [n - m], integrate []    in fine units
    loud    product [m], integrate []        in coarse units
    offset  integrate []                     both, rescaled to the variance's unit, and eps
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from compiler.lowering.lowering import RESCALE, Lowering
from compiler.lowering.maps import multiply
from compiler.lowering.network import Addition, LoweredPopulation, Scaling
from compiler.lowering.units import seen
from compiler.netlist.model import Gather
from las_neuro.graph import Floats, Node
from las_neuro.integers import WORD_LIMIT

LOUD = 16.0  # times the median of the channels' largest squares
WEIGHTIEST = 2**15 - 1  # factor that a compartment's multiplier can hold
MOST_LOUD = 1 / 16  # of the channels: more are no exception
OF_LOUD = (3, 2)  # populations and compartments more where a norm has loud channels
UNSEEN = 4.0  # headroom of a sum over the sum of the channels' largest squares


def _square(low: Lowering, node: Node) -> None:
    source, peaks = low.source(node), seen(node).channel_peak
    loud = np.zeros(0, np.int64) if peaks is None else loud_channels(peaks)
    if node.range is None and source.n * MOST_LOUD >= 1:
        low.net.additions.append(Addition(node.name, *OF_LOUD))
    if not loud.size or peaks is None:
        return multiply(low, node, source, source)
    quiet = np.setdiff1d(np.arange(source.n), loud)
    low.parts[node.name] = [
        _squares(low, node, source, channels, float(peaks[channels].sum()), suffix)
        for channels, suffix in ((quiet, ".quiet"), (loud, ".loud"))
    ]


def loud_channels(peaks: Floats) -> NDArray[np.int64]:
    """Channels whose largest square stands far above the others'; none where many do."""
    loud = np.flatnonzero(peaks > LOUD * np.median(peaks)).astype(np.int64)
    return loud if loud.size <= MOST_LOUD * peaks.size else loud[:0]


def _squares(
    low: Lowering,
    node: Node,
    source: LoweredPopulation,
    channels: NDArray[np.int64],
    largest: float,
    suffix: str,
) -> LoweredPopulation:
    """Squares of some channels, in a unit whose sum keeps inside the word."""
    exact = source.unit**2
    shift = max(0, int(np.ceil(np.log2(UNSEEN * largest / WORD_LIMIT / exact))))
    unit = exact * 2.0**shift
    target = low.add(node, "product", {"c": channels.size}, unit, suffix, "part", shift=shift)
    for port in ("a", "b"):
        form = Gather(channels.astype(np.int32), np.ones(channels.size, np.int8))
        low.connect(source, target, port, form)
    return target


def _reduce(low: Lowering, node: Node) -> None:
    """None of its own where only an offset reads it: one compartment sums and adds the constant."""
    if not _read_by_offset(low, node):
        _total(low, node, node)


def _offset(low: Lowering, node: Node) -> None:
    before = low.graph[node.inputs[0]]
    if before.op == "reduce" and _read_by_offset(low, before):
        return _total(low, node, before, node["constant"])
    source, unit = low.source(node), low.units[node.name]
    scaling = Scaling(source.unit / unit, node["constant"] / unit)
    target = low.add(node, "integrate", source.axes, unit, scaling=scaling, **RESCALE)
    low.join(source, target, "a")


def _read_by_offset(low: Lowering, node: Node) -> bool:
    return [low.graph[name].op for name in low.readers[node.name]] == ["offset"]


def _total(low: Lowering, node: Node, reduce: Node, constant: float = 0.0) -> None:
    """The population of `node`: the sum that `reduce` is, and a constant."""
    parts = low.parts.get(reduce.inputs[0])
    if parts is None:
        return _sum_over(low, node, reduce, constant)
    unit = low.units[node.name]
    sums = []
    for part in parts:
        scaling = Scaling(reduce["factor"] * part.unit / unit)
        suffix = part.name.removeprefix(reduce.inputs[0])
        sums.append(
            low.add(node, "integrate", {}, unit, suffix, "part", scaling=scaling, **RESCALE)
        )
        low.join(part, sums[-1], "a")
    target = low.add(node, "integrate", {}, unit, scaling=Scaling(1.0, constant / unit), **RESCALE)
    for one in sums:
        low.join(one, target, "a")


def _sum_over(low: Lowering, node: Node, reduce: Node, constant: float) -> None:
    source, unit = low.source(reduce), low.units[node.name]
    axes = {axis: size for axis, size in source.axes.items() if axis in low.grouped(node.axes)}
    total = reduce["factor"] * source.unit
    unit = max(unit, abs(total) / WEIGHTIEST)  # no finer than the steps of a short code
    scaling = Scaling(total / unit, constant / unit)
    target = low.add(node, "integrate", axes, unit, scaling=scaling, **RESCALE)
    low.join(source, target, "a")


RULES: dict[str, Callable[[Lowering, Node], None]] = {
    "square": _square,
    "reduce": _reduce,
    "offset": _offset,
}

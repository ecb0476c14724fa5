"""norm: mean squares, in two units where a few outlier channels are far larger than the rest.

A norm sums x^2 over its channels in one 24-bit word.  Trained models have a few channels whose
squares are 1e4 times the others' (LLM.int8(), arXiv 2208.07339): with a unit coarse enough for them
the variance of a token without outliers would be a few units.  An OAT encoder has an outlier
sub-neuron only where calibration measured outliers; in the same way these outlier channels get
squares and a sum of their own (population names call the outlier channels loud, the others quiet):

    quiet   product [n - m], integrate []    the other channels, in fine units
    loud    product [m], integrate []        the outlier channels, in coarse units
    offset  integrate []                     both, rescaled to the variance's unit, and eps
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from compiler.lowering.lowering import RESCALE, Lowering
from compiler.lowering.maps import multiply
from compiler.lowering.network import Addition, LoweredPopulation, Scaling
from compiler.lowering.units import range_of
from compiler.netlist.model import Gather
from las_neuro.graph import Floats, Node
from las_neuro.integers import WORD_LIMIT

OUTLIER_RATIO = 16.0  # an outlier's largest square over the median of all channels' largest squares
LARGEST_FACTOR = 2**15 - 1  # that a compartment's multiplier can hold
MOST_OUTLIERS = 1 / 16  # share of the channels; more are no outliers
OUTLIERS_ADD = (3, 2)  # populations and compartments that outlier channels add to a norm
HEADROOM = 4.0  # of a sum over the sum of the channels' largest squares


def _square(low: Lowering, node: Node) -> None:
    source, peaks = low.source(node), range_of(node).channel_peak
    outliers = np.zeros(0, np.int64) if peaks is None else outlier_channels(peaks)
    if node.range is None and source.n * MOST_OUTLIERS >= 1:
        low.net.additions.append(Addition(node.name, *OUTLIERS_ADD))
    if not outliers.size or peaks is None:
        target = multiply(low, node, source, source)
        for port in ("a", "b"):
            low.join(source, target, port)
        return
    others = np.setdiff1d(np.arange(source.n), outliers)
    low.parts[node.name] = [
        _squares(low, node, source, channels, float(peaks[channels].sum()), suffix)
        for channels, suffix in ((others, ".quiet"), (outliers, ".loud"))
    ]


def outlier_channels(peaks: Floats) -> NDArray[np.int64]:
    """Indices of channels whose largest square is far above the others'; none where many are.

    peaks: largest square of each channel [n].
    """
    outliers = np.flatnonzero(peaks > OUTLIER_RATIO * np.median(peaks)).astype(np.int64)
    return outliers if outliers.size <= MOST_OUTLIERS * peaks.size else outliers[:0]


def _squares(
    low: Lowering,
    node: Node,
    source: LoweredPopulation,
    channels: NDArray[np.int64],
    largest: float,
    suffix: str,
) -> LoweredPopulation:
    """Squares of some channels, in a unit for which their sum fits the word."""
    exact = source.unit**2
    shift = max(0, int(np.ceil(np.log2(HEADROOM * largest / WORD_LIMIT / exact))))
    unit = exact * 2.0**shift
    target = low.add(node, "product", {"c": channels.size}, unit, suffix, "part", shift=shift)
    for port in ("a", "b"):
        form = Gather(channels.astype(np.int32), np.ones(channels.size, np.int8))
        low.connect(source, target, port, form)
    return target


def _reduce(low: Lowering, node: Node) -> None:
    """A sum; no population where only an offset reads it, whose compartment then sums too."""
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
    """Add the population of `node`: the sum of the node `reduce`, plus a constant."""
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
    unit = max(unit, abs(total) / LARGEST_FACTOR)  # a short code has coarse steps
    scaling = Scaling(total / unit, constant / unit)
    target = low.add(node, "integrate", axes, unit, scaling=scaling, **RESCALE)
    low.join(source, target, "a")


RULES: dict[str, Callable[[Lowering, Node], None]] = {
    "square": _square,
    "reduce": _reduce,
    "offset": _offset,
}

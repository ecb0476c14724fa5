"""attention: spike-equivalent attention as written synapses, a spiking maximum, an antilog.

LAS (arXiv 2505.09659) multiplies two spike trains incrementally, O_t = A_t S_B(t) + S_A(t-1) B_t.
Here one factor (K, V) has been received whole and stands in synapses, so O_t = A_t S_B.
Axes: k key-value heads, g queries that share one, j slots (of the context, or of a layer's sliding
window where that is shorter), d width of a head.

    keys     integrate [k d]     written into synapses [k j d] where a pointer [j] stands; with a
                                 sliding window a ring: token t overwrites slot t % j
    scores   integrate [k g j]   digits of q through the keys, in 2**-12 octaves, offset so that a
                                 slot in use is >= 1; gated by synapses [j] that a token's slot sets
    top      compete [k g j], any [k g], integrate [k g]: the maximum's leading bits, rest ones
    weights  antilog [k g j]     2**-(top - score)
    values   integrate [k d]     written into synapses [k j d]
    mixed    integrate [k g d]   digits of the weights through the values
"""

from __future__ import annotations

import math
from collections.abc import Callable

from compiler.functions.fit_functions import ANTILOG_BUDGET, antilog_fit
from compiler.lowering.codes import fire
from compiler.lowering.functions import error_budget, fit_table
from compiler.lowering.lowering import RESCALE, Lowering
from compiler.lowering.network import LoweredPopulation, Scaling
from compiler.lowering.units import range_of
from compiler.netlist.kinds import KINDS
from compiler.netlist.model import Written, slice_limit
from las_neuro.errors import UnsupportedError
from las_neuro.graph import SLOTS, Node
from las_neuro.integers import WORD_BITS
from las_neuro.neurons.firing import graded

SCORE_BITS = 12  # of an octave's fraction: e**x is correct to 1e-4
SCORE_HEADROOM = 2.0  # of the range of scores over the largest calibrated
LEAST_OCTAVES, MOST_OCTAVES = 4, WORD_BITS - 1 - SCORE_BITS  # binary digits of a range's octaves
PLANNED_OCTAVES = 8  # where no range is known
STORED_SLICES = 2  # of a key's or value's synapses: 14 bits
FINER_SLICES = 3  # where the weights have two planes
WAITING_SLICES = 3  # of a residual stream that waits
HEADROOM = 2.0  # of keys and values over the largest calibrated
WAITING_HEADROOM = 1.9  # of the residual stream; its 20 bits then lose one


def _memory(low: Lowering, node: Node) -> None:
    """What a token stores, in whole units up to the limit, and the pointer to its slot."""
    source = low.source(node)
    limit = _limit(low, node)
    unit = node["unit"] or (range_of(node).peak or 1.0) * HEADROOM / limit
    lift = node["lift"]
    if lift is not None:  # 2**lift units, in a channel's own steps: a neuron that fires once
        code = graded(unit, limit >> lift, 1, limit, lift=lift)
        value = fire(low, node, source, code, role="written")
    else:
        value = _bounded(low, node, source, unit, limit, "", "written")
    pointer = _pointer(low, node, ".pointer", node.axes[SLOTS])
    axes = [axis for axis in value.axes if axis != "d"]
    low.written[node.name] = Written((*axes, SLOTS, "d"), value.name, pointer.name, limit)


def _limit(low: Lowering, node: Node) -> int:
    """Of the numbers in a memory: a sum over all slots, or over a head's width, takes a digit."""
    readers = [low.graph[name] for name in low.readers[node.name]]
    over_slots = any(reader.op == "recall" and reader["axis"] == SLOTS for reader in readers)
    summed = node.axes[SLOTS if over_slots else "d"]
    widest: int = max(2, WORD_BITS - math.ceil(math.log2(summed)))
    bits: int | None = node["bits"]
    if bits is not None:
        return (1 << min(max(2, bits), widest) - 1) - 1
    limit = slice_limit(FINER_SLICES if node["planes"] == 2 else STORED_SLICES)
    return min(limit, (1 << widest - 1) - 1)


def _bounded(
    low: Lowering,
    node: Node,
    source: LoweredPopulation,
    unit: float,
    limit: int,
    suffix: str,
    role: str,
) -> LoweredPopulation:
    value = low.rescale(source, node, unit, suffix, role)
    low.net.update(value.name, params={**value.params, "low": -limit, "high": limit})
    return value


def _pointer(low: Lowering, node: Node, suffix: str, slots: int) -> LoweredPopulation:
    most = KINDS["pointer"].params["slots"].range[1]
    if slots > most:
        raise UnsupportedError(
            f"{node.name} has {slots:,} slots: a pointer counts to {most:,}",
            f"compile for a shorter context (--context {most})",
        )
    axes = {SLOTS: slots} if slots > 1 else {}
    return low.add(node, "pointer", axes, 1.0, suffix, "control", slots=slots)


def _recall(low: Lowering, node: Node) -> None:
    stored, spikes = low.source(node, 0), low.source(node, 1)
    form = low.written[node.inputs[0]]
    exact = stored.unit * spikes.unit * node["factor"]
    if node["axis"] == "d":
        target = _scores(low, node, spikes, form, exact)
    else:
        unit = low.units[node.name]
        axes = {**{axis: spikes.axes[axis] for axis in ("k", "g")}, "d": stored.axes["d"]}
        target = low.add(node, "integrate", axes, unit, scaling=Scaling(exact / unit), **RESCALE)
    low.connect(spikes, target, "a", form)


def _scores(
    low: Lowering, node: Node, spikes: LoweredPopulation, form: Written, exact: float
) -> LoweredPopulation:
    """Scores in octaves; only slots that were written take part."""
    unit, bits = math.log(2) / 2**SCORE_BITS, SCORE_BITS + _octave_bits(node)
    keys = low.graph[node.inputs[0]]
    slots = keys.axes[SLOTS]
    axes = {**{axis: spikes.axes[axis] for axis in ("k", "g")}, SLOTS: slots}
    used = _pointer(low, keys, ".mark", 1)
    clock = _pointer(low, node, ".clock", 1)
    target = low.add(
        node,
        "integrate",
        axes,
        unit,
        scaling=Scaling(exact / unit, float(1 << (bits - 1))),
        low=1,
        high=(1 << bits) - 1,
        gated=1,
    )
    low.connect(clock, target, "enable", Written((SLOTS,), used.name, form.pointer, 1))
    return target


def _octave_bits(scores: Node) -> int:
    """Binary digits of the octaves that scores span: as many rounds has the search of the maximum.

    Scores below the range count as its lowest: e**-22 of a maximum at 0, with 6 bits.
    """
    if scores.range is None:
        return PLANNED_OCTAVES
    octaves = 2 * SCORE_HEADROOM * max(scores.range.peak, 1e-9) / math.log(2)
    return min(max(LEAST_OCTAVES, math.ceil(math.log2(octaves))), MOST_OCTAVES)


def _maximum(low: Lowering, node: Node) -> None:
    """The octave of the largest score, found bit by bit, and the highest fraction."""
    scores, bits = low.source(node), _octave_bits(low.graph[node.inputs[0]])
    heads = {axis: scores.axes[axis] for axis in ("k", "g")}
    compete = low.add(
        node, "compete", scores.axes, scores.unit, ".compete", "part", bits=bits, drop=SCORE_BITS
    )
    referee = low.add(node, "any", heads, scores.unit, ".referee", "part")
    low.join(scores, compete, "x")
    low.join(compete, referee, "a")
    low.join(referee, compete, "veto", feedback=True)
    target = low.add(
        node,
        "integrate",
        heads,
        scores.unit,
        shift=tuple(range(bits - 1 + SCORE_BITS, SCORE_BITS - 1, -1)),
        scaling=Scaling(1.0, float(2**SCORE_BITS - 1)),
        **RESCALE,
    )
    low.join(referee, target, "a")


def _exponential(low: Lowering, node: Node) -> None:
    scores, top = low.source(node, 0), low.source(node, 1)
    readers = [low.graph[name] for name in low.readers[node.name]]
    code = max(
        (reader["code"] for reader in readers if reader.op == "encode"),
        key=lambda code: code.digits,
    )
    # The largest weight is what the code can hold, slightly below 1; the softmax's division
    # cancels this factor.
    bits = max(16, code.digits)
    one = int(code.top * code.unit * 2**bits)
    fit = antilog_fit(SCORE_BITS, one, error_budget(node, ANTILOG_BUDGET))
    target = low.add(node, "antilog", scores.axes, 2.0**-bits, **fit_table(node, fit))
    low.join(scores, target, "x")
    low.join(top, target, "reference")


def _wait(low: Lowering, node: Node) -> None:
    """A value of an earlier phase, written for every token and read in the same order."""
    source, slots = low.source(node), low.graph.context
    earlier, phase = low.graph[node.inputs[0]], node["phase"]
    limit = slice_limit(WAITING_SLICES)
    excess = WAITING_HEADROOM * (range_of(earlier).peak or 1.0) / source.unit / limit
    unit = source.unit * 2.0 ** max(0, math.ceil(math.log2(excess)))  # an exact factor
    value = _bounded(low, earlier, source, unit, limit, f".kept{phase}", "part")
    pointer = _pointer(low, earlier, f".to{phase}", slots)
    reader = _pointer(low, node, ".turn", slots)
    target = low.add(
        node, "integrate", source.axes, source.unit, scaling=Scaling(unit / source.unit), **RESCALE
    )
    form = Written((SLOTS, *source.axes), value.name, pointer.name, limit)
    low.connect(reader, target, "a", form)


RULES: dict[str, Callable[[Lowering, Node], None]] = {
    "memory": _memory,
    "recall": _recall,
    "maximum": _maximum,
    "exponential": _exponential,
    "wait": _wait,
}

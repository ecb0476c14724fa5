"""attention: spike-equivalent attention from memories, a spiking maximum and an antilog.

LAS (arXiv 2505.09659) multiplies two spike trains incrementally, O_t = A_t S_B(t) + S_A(t-1) B_t.
Here one factor (K or V) has arrived completely and is kept in memory compartments, so
O_t = A_t S_B.  Axes: k key-value heads, g queries that share one, j slots (of the context, or of a
layer's sliding window where that is shorter), d width of a head.

    keys     memory [k g j d]    key * digit of q, summed over d by unit synapses; with a sliding
                                 window a ring buffer: token t overwrites slot t % j
    scores   integrate [k g j]   in 2**-12 octaves, offset so that a written slot is >= 1; gated by
    slots    memory [j]          the flags of written slots, read once per token
    top      compete [k g j], any [k g], integrate [k g]: leading bits of the maximum, then ones
    weights  antilog [k g j]     2**-(top - score)
    values   memory [k g j d]    value * digit of the weight, summed over j by unit synapses
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
from las_neuro.graph import SLOTS, Node
from las_neuro.integers import WORD_BITS, WORD_LIMIT
from las_neuro.neurons.firing import graded

SCORE_BITS = 12  # of an octave's fraction: e**x is correct to 1e-4
SCORE_OFFSET = 1 << (WORD_BITS - 2)
MAXIMUM_BITS = 12  # the reference is at most half an octave above the maximum
KEY_BITS = 16  # scores are sums over one head's width, and softmax magnifies their errors
VALUE_BITS = 14  # summed over the whole context: every additional bit costs another cut
FINER_BITS = 2  # additional bits of both, where the weights have two planes
HEADROOM = 2.0  # limit of stored keys and values over the largest calibrated one


def _memory(low: Lowering, node: Node) -> None:
    """A memory with one slot per token; the pointer selects the slot that is written."""
    source = low.source(node)
    readers = [low.graph[name] for name in low.readers[node.name]]
    over_slots = any(reader.op == "recall" and reader["axis"] == SLOTS for reader in readers)
    finer = FINER_BITS if node["planes"] == 2 else 0
    bits, summed = (VALUE_BITS, SLOTS) if over_slots else (KEY_BITS, "d")
    # A sum over all slots, or over a head's width, must leave room for a digit.
    bits = bits + finer if node["bits"] is None else node["bits"]
    bits = max(2, min(bits, WORD_BITS - math.ceil(math.log2(node.axes[summed]))))
    limit = 2 ** (bits - 1) - 1
    unit = node["unit"] or (range_of(node).peak or 1.0) * HEADROOM / limit
    value = _value(low, node, source, unit, limit)
    axes = {
        "k": source.axes["k"],
        "g": low.groups,
        SLOTS: node.axes[SLOTS],
        "d": source.axes["d"],
    }
    writer = _pointer(low, node, ".pointer", node.axes[SLOTS])
    target = low.add(node, "memory", axes, unit, role="store", limit=limit, slot_axis=2)
    low.join(value, target, "write")
    low.join(writer, target, "enable")


def _value(
    low: Lowering, node: Node, source: LoweredPopulation, unit: float, limit: int
) -> LoweredPopulation:
    """Population that is written: whole units up to the limit.

    With a lift, multiples of 2**lift units, each channel with its own lift.
    """
    lift = node["lift"]
    if lift is not None:  # neurons that fire once do this rounding
        return fire(
            low, node, source, graded(unit, limit >> lift, 1, limit, lift=lift), ".value", "written"
        )
    value = low.rescale(source, node, unit, ".value", "written")
    low.net.update(value.name, params={**value.params, "low": -limit, "high": limit})
    return value


def _pointer(low: Lowering, node: Node, suffix: str, slots: int) -> LoweredPopulation:
    axes = {SLOTS: slots} if slots > 1 else {}
    return low.add(node, "pointer", axes, 1.0, suffix, "control", slots=slots)


def _recall(low: Lowering, node: Node) -> None:
    memory, spikes = low.source(node, 0), low.source(node, 1)
    low.join(spikes, memory, "read")
    exact = memory.unit * spikes.unit * node["factor"]
    if node["axis"] == "d":
        return _scores(low, node, memory, exact)
    unit = low.units[node.name]
    axes = {axis: memory.axes[axis] for axis in ("k", "g", "d")}
    target = low.add(node, "integrate", axes, unit, scaling=Scaling(exact / unit), **RESCALE)
    low.join(memory, target, "a")


def _scores(low: Lowering, node: Node, memory: LoweredPopulation, exact: float) -> None:
    """Scores in octaves, of written slots only."""
    unit = math.log(2) / 2**SCORE_BITS
    axes = {axis: memory.axes[axis] for axis in ("k", "g", SLOTS)}
    slots = memory.axes[SLOTS]
    keys = low.graph[node.inputs[0]]
    writer = _pointer(low, keys, ".written", slots)
    mark = _pointer(low, keys, ".mark", 1)
    clock = _pointer(low, node, ".clock", 1)
    flags = low.add(node, "memory", {SLOTS: slots}, 1.0, ".slots", "control", limit=1, slot_axis=0)
    target = low.add(
        node,
        "integrate",
        axes,
        unit,
        scaling=Scaling(exact / unit, float(SCORE_OFFSET)),
        low=1,
        high=WORD_LIMIT,
        gated=1,
    )
    low.join(memory, target, "a")
    low.join(mark, flags, "write")
    low.join(writer, flags, "enable")
    low.join(clock, flags, "read")
    low.join(flags, target, "enable")


def _maximum(low: Lowering, node: Node) -> None:
    scores = low.source(node)
    heads = {axis: scores.axes[axis] for axis in ("k", "g")}
    drop = WORD_BITS - 1 - MAXIMUM_BITS
    compete = low.add(
        node, "compete", scores.axes, scores.unit, ".compete", "part", bits=MAXIMUM_BITS, drop=drop
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
        shift=tuple(range(MAXIMUM_BITS - 1 + drop, drop - 1, -1)),
        scaling=Scaling(1.0, float(2**drop - 1)),
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
    """A value of an earlier phase, stored for every token and recalled in the same order."""
    source, slots = low.source(node), low.graph.context
    axes = {SLOTS: slots, **source.axes}
    earlier, phase = low.graph[node.inputs[0]], node["phase"]
    writer = _pointer(low, earlier, f".to{phase}", slots)
    reader = _pointer(low, node, ".turn", slots)
    memory = low.add(
        node, "memory", axes, source.unit, ".kept", "store", limit=WORD_LIMIT, slot_axis=0
    )
    low.join(source, memory, "write")
    low.join(writer, memory, "enable")
    low.join(reader, memory, "read")
    target = low.add(node, "integrate", source.axes, source.unit, scaling=Scaling(1.0), **RESCALE)
    low.join(memory, target, "a")


RULES: dict[str, Callable[[Lowering, Node], None]] = {
    "memory": _memory,
    "recall": _recall,
    "maximum": _maximum,
    "exponential": _exponential,
    "wait": _wait,
}

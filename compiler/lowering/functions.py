"""functions: functions of one value as piecewise linear tables, and the errors these may have."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.functions.fit_functions import (
    OCTAVE_BUDGET,
    SEGMENT_BUDGET,
    Fit,
    octave_fit,
    segment_fit,
)
from compiler.lowering.lowering import RESCALE, Lowering
from compiler.lowering.network import LoweredPopulation, Scaling
from compiler.lowering.units import range_of
from las_neuro.errors import ConfigError
from las_neuro.graph import Node
from las_neuro.integers import WORD_LIMIT


def _function(low: Lowering, node: Node) -> None:
    source, fn, unit = low.source(node), node["fn"], low.units[node.name]
    if node["few_spikes"] is not None:
        return _few_spikes(low, node, source)
    if fn == "relu":
        rectify = {**RESCALE, "low": 0}
        target = low.add(
            node, "integrate", source.axes, unit, scaling=Scaling(source.unit / unit), **rectify
        )
        return low.join(source, target, "a")
    if fn in ("reciprocal", "inverse_sqrt"):
        budget, kind = error_budget(node, OCTAVE_BUDGET), "octave"
        fit = octave_fit(fn == "inverse_sqrt", source.unit, unit, budget)
    else:
        budget, kind = segment_budget(node), "segment"
        unit = _binary_multiple(low, node, source.unit)
        fit = segment_fit(fn, source.unit, unit, budget)
    target = low.add(node, kind, source.axes, unit, **fit_table(node, fit))
    low.join(source, target, "x")


def _few_spikes(low: Lowering, node: Node, source: LoweredPopulation) -> None:
    """Imported tables: thresholds and resets in the input's unit, spike values in the result's."""
    domains, unit = node["few_spikes"], low.units[node.name]
    tables: dict[str, Any] = {
        "edges": _payloads(node, [one.low for one in domains], source.unit),
        "theta": _payloads(node, [x for one in domains for x in one.theta], source.unit),
        "reset": _payloads(node, [x for one in domains for x in one.h], source.unit),
        "d": _payloads(node, [x for one in domains for x in one.d], unit),
    }
    count = len(domains[0].theta)
    target = low.add(node, "few_spikes", source.axes, unit, count=count, **tables)
    low.join(source, target, "x")


def _payloads(node: Node, values: list[float], unit: float) -> NDArray[np.int64]:
    """Real numbers as payloads; an infinite threshold becomes the word's limit."""
    scaled = np.rint(np.clip(np.asarray(values, np.float64) / unit, -WORD_LIMIT, WORD_LIMIT))
    return np.asarray(scaled, np.int64)


def _binary_multiple(low: Lowering, node: Node, unit_in: float) -> float:
    """The node's unit, or unit_in * 2**k where its readers accept any unit.

    The slope of an asymptote is then exact; a rounded slope would be off by some units at the end
    of the word.
    """
    unit = low.units[node.name]
    if {low.graph[name].op for name in low.readers[node.name]} <= {"encode", "product", "square"}:
        return float(unit_in * 2.0 ** round(math.log2(unit / unit_in)))
    return unit


def error_budget(node: Node, default: float) -> float:
    """Error that a function's table may have: that of the graph's `hg_error`, or `default`.

    For a bounded function in units of the last place, else relative to the value.
    """
    return default if node["hg_error"] is None else float(node["hg_error"])


def segment_budget(node: Node) -> float:
    """Error of a `segment` table.

    Smaller where the 0.999 quantile, which sets a spike code's step, is far below the peak, which
    sets the unit.
    """
    share = range_of(node).q999 / (range_of(node).peak or 1.0)
    return error_budget(node, SEGMENT_BUDGET * max(share, 1 / 64))


def fit_table(node: Node, fit: Fit) -> Mapping[str, Any]:
    """The table of a fit; raises ConfigError where its error exceeds the node's `hg_error`."""
    allowed = node["hg_error"]
    if allowed is not None and fit.error > allowed:
        raise ConfigError(
            f"{node.name}: {fit.lines} lines, the most there may be, are off by {fit.error:.3g}; "
            f"the error budget leaves it {allowed:.3g}",
            "give a larger --error-budget, or none",
        )
    return fit.table


RULES: dict[str, Callable[[Lowering, Node], None]] = {"function": _function}

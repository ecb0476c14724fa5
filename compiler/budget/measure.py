"""measure: the output's error with one part of the network rounded at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from compiler.weights.quantize import quantize
from las_neuro.graph import Graph, Node
from las_neuro.progress import Progress
from las_neuro.rows import Rows

if TYPE_CHECKING:
    from las_neuro.reference.rounded import Probe, Rounding

PROBED = 8  # digits with which an encoder is measured
TABLE_PROBE = 1e-3  # error, relative to the usual value, with which functions are measured
PROBE_TOKENS = 1024


@dataclass(frozen=True)
class Alone:
    """Errors of the output with one part rounded alone.

    encoders: by name, with PROBED digits.  maps: by name, with one plane of int8 weights.
    tables: by layer, with an error of TABLE_PROBE in all its functions.
    """

    encoders: dict[str, float] = field(default_factory=dict)
    maps: dict[str, float] = field(default_factory=dict)
    tables: dict[int, float] = field(default_factory=dict)


def probe_batches(batches: Sequence[Rows]) -> list[Rows]:
    """The first sequences of the calibration batches, about PROBE_TOKENS tokens."""
    sample: list[Rows] = []
    left = PROBE_TOKENS
    for rows in batches:
        if left > 0:
            count = max(1, min(len(rows), left // rows.shape[1]))
            sample.append(rows[:count])
            left -= count * rows.shape[1]
    return sample


def measure_alone(
    graph: Graph,
    probe: Probe,
    threshold: Callable[[Graph, int], Graph],
    progress: Progress,
) -> Alone:
    """Measure each encoder, linear map and layer of functions, in one run each."""
    from las_neuro.reference.rounded import Rounding, rounded_weights

    coded, alone = threshold(graph, PROBED), Alone()
    encoders = [node for node in coded if node.op == "encode"]
    maps = [node for node in graph if node.op == "linear"]
    layers = by_layer(graph)
    of = len(encoders) + len(maps) + len(layers)

    def error(rounding: Rounding) -> float:
        done = len(alone.encoders) + len(alone.maps) + len(alone.tables)
        progress("measure", done + 1, of)
        return probe.error(rounding)

    for node in encoders:
        alone.encoders[node.name] = error(Rounding(codes={node.name: node["code"]}))
    for node in maps:
        value = quantize(node.weights["weight"].load().astype(np.float64)).value()
        weights = {node.name: rounded_weights(node, value)}
        alone.maps[node.name] = error(Rounding(weights=weights))
    for layer, nodes in layers.items():
        absolute = {node.name: TABLE_PROBE * usual(node) for node in nodes if is_bounded(node)}
        relative = {node.name: TABLE_PROBE for node in nodes if not is_bounded(node)}
        alone.tables[layer] = error(Rounding(absolute=absolute, relative=relative))
    return alone


def by_layer(graph: Graph) -> dict[int, list[Node]]:
    """Nodes that become piecewise linear tables, by layer; imported tables are left out."""
    layers: dict[int, list[Node]] = {}
    for node in graph:
        fits = node.op == "function" and node["fn"] != "relu" and node["few_spikes"] is None
        if fits or node.op == "exponential":
            layers.setdefault(node.layer, []).append(node)
    return layers


def is_bounded(node: Node) -> bool:
    """Whether the error of a node's table is absolute (activations), not relative."""
    return node.op == "function" and node["fn"] not in ("reciprocal", "inverse_sqrt")


def usual(node: Node) -> float:
    """The usual size of a node's values: their 0.999 quantile."""
    return node.range.q999 if node.range is not None else 1.0

"""measure: the output's error with one thing rounded at a time."""

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

PROBED = 8  # digits at which an encoder is measured
TABLE_PROBE = 1e-3  # share of the usual value by which a layer's functions are off
PROBE_TOKENS = 1024


@dataclass(frozen=True)
class Alone:
    """Errors of the output: encoders at PROBED digits, maps at one plane of int8.

    tables: by layer, its functions off by TABLE_PROBE.
    """

    encoders: dict[str, float] = field(default_factory=dict)
    maps: dict[str, float] = field(default_factory=dict)
    tables: dict[int, float] = field(default_factory=dict)


def few(batches: Sequence[Rows]) -> list[Rows]:
    """About PROBE_TOKENS of the calibration text."""
    taken: list[Rows] = []
    left = PROBE_TOKENS
    for rows in batches:
        if left > 0:
            count = max(1, min(len(rows), left // rows.shape[1]))
            taken.append(rows[:count])
            left -= count * rows.shape[1]
    return taken


def measure_alone(
    graph: Graph,
    probe: Probe,
    threshold: Callable[[Graph, int], Graph],
    progress: Progress,
) -> Alone:
    """One run for each encoder, linear map and layer of functions."""
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
        rounded = {node.name: rounded_weights(node, value)}
        alone.maps[node.name] = error(Rounding(weights=rounded))
    for layer, nodes in layers.items():
        absolute = {node.name: TABLE_PROBE * usual(node) for node in nodes if is_bounded(node)}
        relative = {node.name: TABLE_PROBE for node in nodes if not is_bounded(node)}
        alone.tables[layer] = error(Rounding(absolute=absolute, relative=relative))
    return alone


def by_layer(graph: Graph) -> dict[int, list[Node]]:
    """The nodes that become tables of lines; imported tables are as they are."""
    layers: dict[int, list[Node]] = {}
    for node in graph:
        tabled = node.op == "function" and node["fn"] != "relu" and node["few_spikes"] is None
        if tabled or node.op == "exponential":
            layers.setdefault(node.layer, []).append(node)
    return layers


def is_bounded(node: Node) -> bool:
    """Whether its table's error is absolute: activations; else it is a share of the value."""
    return node.op == "function" and node["fn"] not in ("reciprocal", "inverse_sqrt")


def usual(node: Node) -> float:
    """The value that few outputs exceed."""
    return node.range.q999 if node.range is not None else 1.0

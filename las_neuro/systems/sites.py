"""The sites of a system's neurons: encoders that linear maps read, with their calibrated values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from las_neuro.graph import Graph, Node
from las_neuro.neurons.firing import Firing
from las_neuro.neurons.thresholds import Site
from las_neuro.systems.las import Las

Doubles = NDArray[np.float64]

# For values that no published system codes: queries and softmax weights.
LAS = Las()
GRID = 24  # units tried, an eighth of an octave apart


def linear_inputs(graph: Graph, choose: Callable[[Node, Site | None], Any]) -> Graph:
    """The graph with codes by `choose` for encoders that only linear maps read, else by LAS.

    choose(node, site): site is None if there is no calibration (a plan).
    """

    def code(node: Node, readers: list[Node]) -> Any:
        if not only_linear(readers):
            return LAS.code_of(node, readers)
        calibrated = node.range is not None and node.range.peak > 0
        return choose(node, Site.of(node, readers) if calibrated else None)

    return _with_codes(graph, code)


def rest(graph: Graph) -> Graph:
    """The graph with codes by LAS for all encoders that have no trained code."""
    return _with_codes(graph, LAS.code_of)


def _with_codes(graph: Graph, code: Callable[[Node, list[Node]], Any]) -> Graph:
    readers = graph.readers()

    def with_code(node: Node) -> Node:
        if node.op != "encode" or node["trained"]:
            return node
        return node.with_attributes(code=code(node, [graph[name] for name in readers[node.name]]))

    return graph.mapped(with_code)


def only_linear(readers: list[Node]) -> bool:
    return bool(readers) and all(reader.op == "linear" for reader in readers)


def relative(site: Site) -> Doubles:
    """The sampled values divided by their channel's spread [tokens, n]."""
    return site.sample if site.spread is None else site.sample / site.spread


def best_unit(site: Site, largest: float, code: Callable[[float], Firing]) -> Firing:
    """The code of least measured error over a grid of units.

    largest: the number of units that the peak takes if nothing is clipped.
    """
    whole = float(np.abs(relative(site)).max()) / largest or 1.0
    codes = [code(whole / 2 ** (place / 8)) for place in range(GRID)]
    return min(codes, key=lambda trial: float(site.errors(trial).sum()))


def with_weight_bits(graph: Graph, bits: int, **more: int) -> Graph:
    """The same graph, with weights of that many bits in all linear maps but the read-out's.

    more: other attributes of those maps.
    """
    last = [node.inputs[0] for node in graph if node.op == "output"]

    def with_bits(node: Node) -> Node:
        if node.op != "linear" or node.name in last:
            return node
        return node.with_attributes(weight_bits=bits, **more)

    return graph.mapped(with_bits)

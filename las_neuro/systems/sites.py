"""Where a system's neurons go: encoders that linear maps read, and what calibration saw of them."""

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

# For what no published system codes: queries, softmax weights.
LAS = Las()
GRID = 24  # thresholds tried, an eighth of an octave apart


def linear_inputs(graph: Graph, choose: Callable[[Node, Site | None], Any]) -> Graph:
    """The graph, every encoder that only linear maps read coded by `choose`, the rest as LAS does.

    choose(node, site): site is None where there is no calibration (a plan).
    """

    def code(node: Node, readers: list[Node]) -> Any:
        if not only_linear(readers):
            return LAS.code_of(node, readers)
        seen = node.range is not None and node.range.peak > 0
        return choose(node, Site.of(node, readers) if seen else None)

    return _coded(graph, code)


def rest(graph: Graph) -> Graph:
    """The graph, every encoder that has no trained code coded as LAS does."""
    return _coded(graph, LAS.code_of)


def _coded(graph: Graph, code: Callable[[Node, list[Node]], Any]) -> Graph:
    readers = graph.readers()

    def coded(node: Node) -> Node:
        if node.op != "encode" or node["trained"]:
            return node
        return node.with_attributes(code=code(node, [graph[name] for name in readers[node.name]]))

    return graph.mapped(coded)


def only_linear(readers: list[Node]) -> bool:
    return bool(readers) and all(reader.op == "linear" for reader in readers)


def relative(site: Site) -> Doubles:
    """The sampled values of each channel over its spread [tokens, n]."""
    return site.sample if site.spread is None else site.sample / site.spread


def best_unit(site: Site, largest: float, code: Callable[[float], Firing]) -> Firing:
    """The code of least measured error; largest: units that the peak would take, unclipped."""
    whole = float(np.abs(relative(site)).max()) / largest or 1.0
    codes = [code(whole / 2 ** (place / 8)) for place in range(GRID)]
    return min(codes, key=lambda trial: float(site.errors(trial).sum()))


def with_weight_bits(graph: Graph, bits: int, **more: int) -> Graph:
    """The same graph, every linear map but the read-out's with weights of that many bits.

    more: other attributes of those maps.
    """
    last = [node.inputs[0] for node in graph if node.op == "output"]

    def with_bits(node: Node) -> Node:
        if node.op != "linear" or node.name in last:
            return node
        return node.with_attributes(weight_bits=bits, **more)

    return graph.mapped(with_bits)

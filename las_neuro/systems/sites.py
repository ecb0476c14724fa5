"""Where a system's neurons go: encoders that linear maps read, and what calibration saw of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from las_neuro.errors import ConfigError
from las_neuro.firing import Firing
from las_neuro.graph import Graph, Node
from las_neuro.systems import las
from las_neuro.thresholds import Site

Doubles = NDArray[np.float64]

REST = 16  # digits of the codes that no published system defines: queries, softmax weights
GRID = 24  # thresholds tried, an eighth of an octave apart


def linear_inputs(graph: Graph, choose: Callable[[Node, Site | None], object]) -> Graph:
    """The graph, every encoder that only linear maps read coded by `choose`, the rest as LAS does.

    choose(node, site): site is None where there is no calibration (a plan).
    """
    readers, coded = graph.readers(), las.threshold(graph, REST)
    out = graph.empty_like()
    for node in coded:
        maps = [graph[name] for name in readers[node.name]]
        if node.op == "encode" and not node.attrs.get("trained") and only_linear(maps):
            seen = node.range is not None and node.range.peak > 0
            code = choose(node, Site.of(node, maps) if seen else None)
            node = replace(node, attrs={**node.attrs, "code": code})
        out.nodes[node.name] = node
    return out


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


def with_weight_bits(graph: Graph, bits: int) -> Graph:
    """The same graph, every linear map but the read-out's with weights of that many bits."""
    last = [node.inputs[0] for node in graph if node.op == "output"]
    out = graph.empty_like()
    for node in graph:
        if node.op == "linear" and node.name not in last:
            node = replace(node, attrs={**node.attrs, "weight_bits": bits})
        out.nodes[node.name] = node
    return out


def refuse_form(form: str, ranges: int, channel_steps: bool, system: str) -> None:
    """LAS's own options mean nothing to a system whose code is its own."""
    if form != "binary" or ranges != 2 or channel_steps:
        raise ConfigError(
            f"--code, --ranges and --channel-steps are LAS's, not {system}'s",
            "leave them out, or give the system's own options with --option",
        )

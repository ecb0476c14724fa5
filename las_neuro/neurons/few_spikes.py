"""few_spikes: tables of few-spikes and HG neurons, read from a user's file.

A JSON object that gives functions of las_neuro.graph.FUNCTIONS as lists of sub-domains in order:

    {"gelu": [{"from": -6.0, "to": 30.0, "theta": [..], "h": [..], "d": [..]}]}

SpikingJelly's convention (`FewSpikeNode`): step t tests v > theta[t], then subtracts h[t].  The
published tables of few-spikes neurons and of LAS subtract first: where step t - 1 fired, step t
tests after v -= h[t], so that h[0] has no effect.  `subtract_first` converts them: h[t] becomes
their h[t + 1].
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from las_neuro.errors import ConfigError
from las_neuro.files import read_small
from las_neuro.graph import FUNCTIONS, Graph, Node

Doubles = NDArray[np.float64]

LARGEST = 1 << 22  # bytes of a table file
MOST_STEPS = 63
MOST_DOMAINS = 16
NAMES = ("theta", "h", "d")


@dataclass(frozen=True)
class SubDomain:
    """One sub-neuron for values from `low` on: thresholds theta, resets h and outputs d, [K]."""

    low: float
    theta: tuple[float, ...]
    h: tuple[float, ...]
    d: tuple[float, ...]


Tables = Mapping[str, tuple[SubDomain, ...]]


def read_tables(path: Path, subtract_first: bool = False) -> Tables:
    """The tables of each function; raises `ConfigError` naming file, function and fault.

    subtract_first: whether the file has the convention of the published tables.
    """
    try:
        parsed = json.loads(read_small(path, LARGEST))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is no JSON ({error})", "correct the file") from error
    if not isinstance(parsed, dict) or not parsed:
        raise ConfigError(f"{path}: names no function", 'write {"gelu": [..]}')
    for fn in parsed:
        if fn not in FUNCTIONS - {"reciprocal", "inverse_sqrt", "relu"}:
            raise ConfigError(f"{path}: {fn!r} takes no tables", "use gelu, silu, tanh ..")
    return {fn: _domains(f"{path}, {fn}", rows, subtract_first) for fn, rows in parsed.items()}


def _domains(at: str, rows: Any, subtract_first: bool) -> tuple[SubDomain, ...]:
    if not isinstance(rows, list) or not 1 <= len(rows) <= MOST_DOMAINS:
        raise ConfigError(f"{at}: is no list of 1 to {MOST_DOMAINS} sub-domains", "see the format")
    domains = [_domain(f"{at}, sub-domain {i}", one, subtract_first) for i, one in enumerate(rows)]
    if any(a.low >= b.low for a, b in pairwise(domains)):
        raise ConfigError(f"{at}: sub-domains out of order", "sort them by `from`")
    if len({len(one.theta) for one in domains}) != 1:
        raise ConfigError(f"{at}: sub-domains of different length", "pad the shorter tables")
    return tuple(domains)


def _domain(at: str, one: Any, subtract_first: bool) -> SubDomain:
    try:
        low = float(one["from"])
        theta, h, d = (tuple(float(x) for x in one[name]) for name in NAMES)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{at}: not from, theta, h and d ({error})", "see the format") from error
    if not 1 <= len(theta) == len(h) == len(d) <= MOST_STEPS:
        raise ConfigError(
            f"{at}: tables of {len(theta)}, {len(h)} and {len(d)} steps",
            f"give each 1 to {MOST_STEPS}, the same number",
        )
    if not all(math.isfinite(x) for x in (low, *h, *d)) or any(math.isnan(x) for x in theta):
        raise ConfigError(f"{at}: a number is not finite", "only a theta may be infinite")
    return SubDomain(low, theta, (*h[1:], 0.0) if subtract_first else h, d)


def computed(domains: Sequence[SubDomain], x: Doubles) -> Doubles:
    """What the tables give for values of any shape: K times test, subtract and add up."""
    place = np.sum([x >= domain.low for domain in domains[1:]], axis=0, dtype=np.int64)
    theta, h, d = (np.array([getattr(domain, name) for domain in domains]) for name in NAMES)
    potential, total = x.copy(), np.zeros_like(x)
    for t in range(theta.shape[1]):
        spikes = potential > theta[place, t]
        potential -= spikes * h[place, t]
        total += spikes * d[place, t]
    return total


def with_tables(graph: Graph, tables: Tables) -> Graph:
    """The same graph, in which functions with tables are computed by them.

    Raises `ConfigError` if no function of the graph has a table.
    """
    if not any(node.op == "function" and node["fn"] in tables for node in graph):
        raise ConfigError(
            f"no table is of a function of this model ({', '.join(sorted(tables))})",
            "leave the tables out",
        )

    def with_table(node: Node) -> Node:
        if node.op != "function" or node["fn"] not in tables:
            return node
        return node.with_attributes(few_spikes=tables[node["fn"]])

    return graph.mapped(with_table)

"""choose: digits, planes and tables, by the error that each increment saves per added event."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass

from compiler.budget.measure import PROBED, TABLE_PROBE, Alone, by_layer, is_bounded, usual
from compiler.lowering.units import VALUE_BITS
from las_neuro.graph import Graph, Node

FEWEST_DIGITS = 4
FINER = 128.0**2  # factor by which a second plane of weights lowers the error
SPIKING = 0.36  # share of a binary code's digits that are 1; measured on trained models
TABLES = 0.05  # share of the budget for all function tables together
FINEST_TABLE, COARSEST_TABLE = 2e-5, 5e-3  # errors relative to the usual value

Levels = dict[str, int]  # encoder -> digits, linear map -> planes


@dataclass(frozen=True)
class Choice:
    """The choice for one node.

    alone: the output's predicted error if only this node were rounded.
    """

    node: str
    layer: int
    what: str  # "9 digits", "1 plane"
    alone: float
    why: str


def choose(graph: Graph, alone: Alone, target: float, most_digits: int) -> Levels:
    """The levels of all encoders and linear maps for a predicted error of at most `target`.

    Starts with the cheapest, and takes the increment with the largest gain per event until the sum
    of predicted errors, with the tables' share, is within `target` or all levels are the finest.
    """
    levels: Levels = {name: FEWEST_DIGITS for name in alone.encoders} | dict.fromkeys(alone.maps, 1)
    total = sum(predicted(alone, name, level) for name, level in levels.items())
    events = {name: _events(graph, graph[name]) for name in levels}
    most = {name: most_digits if name in alone.encoders else 2 for name in levels}

    def step(name: str) -> tuple[float, str]:
        level = levels[name]
        gain = predicted(alone, name, level) - predicted(alone, name, level + 1)
        return -gain / max(events[name], 1e-9), name

    queue = [step(name) for name in levels]
    heapq.heapify(queue)
    while queue and total > target * (1 - TABLES):
        _, name = heapq.heappop(queue)
        total -= predicted(alone, name, levels[name])
        levels[name] += 1
        total += predicted(alone, name, levels[name])
        if levels[name] < most[name]:
            heapq.heappush(queue, step(name))
    return levels


def predicted(alone: Alone, name: str, level: int) -> float:
    """The output's predicted error with this node at `level` digits or planes, the rest exact."""
    if name in alone.maps:
        return alone.maps[name] / FINER ** (level - 1)
    return alone.encoders[name] * 4.0 ** (PROBED - level)


def _events(graph: Graph, node: Node) -> float:
    """Additional synaptic events per token for one more digit, or for a second plane of a map."""
    if node.op == "linear":
        return PROBED * SPIKING * graph[node.inputs[0]].size * node.size
    readers = (reader for reader in graph if node.name in reader.inputs)
    return SPIKING * sum(_synapses(graph, node, reader) for reader in readers)


def _synapses(graph: Graph, encoder: Node, reader: Node) -> float:
    if reader.op == "linear":
        return encoder.size * reader.size
    if reader.op == "recall":  # on average half the slots are written
        return graph[reader.inputs[0]].size / 2
    return encoder.size


def with_levels(graph: Graph, levels: Levels, alone: Alone, target: float) -> Graph:
    """The graph with digits, planes and table errors as attributes of its nodes."""
    tables = {
        node.name: _table_error(node, share)
        for layer, share in _table_shares(alone, target)
        for node in by_layer(graph)[layer]
    }

    def with_choice(node: Node) -> Node:
        if node.name in levels:
            name = "planes" if node.op == "linear" else "digits"
            return node.with_attributes(**{name: levels[node.name]})
        if node.name in tables:
            return node.with_attributes(hg_error=tables[node.name])
        return node

    return graph.mapped(with_choice)


def _table_shares(alone: Alone, target: float) -> Iterator[tuple[int, float]]:
    """Each layer, and the error of its function tables relative to the usual value."""
    each = TABLES * target / max(1, len(alone.tables))
    for layer, error in alone.tables.items():
        share = TABLE_PROBE * math.sqrt(each / max(error, 1e-30))
        yield layer, min(max(share, FINEST_TABLE), COARSEST_TABLE)


def _table_error(node: Node, share: float) -> float:
    """Error of a node's table: in last places for a bounded function, else relative.

    share: the error relative to the usual value.
    """
    if not is_bounded(node) or node.range is None:
        return share
    return max(16.0, share * usual(node) / (node.range.peak or 1.0) * 2.0**VALUE_BITS)


def explain(graph: Graph, levels: Levels, alone: Alone) -> list[Choice]:
    """The choice for each node in depth order, with its reason."""
    choices = []
    for name, level in levels.items():
        node, error = graph[name], predicted(alone, name, level)
        least = 1 if name in alone.maps else FEWEST_DIGITS
        what = f"{level} digits"
        if name in alone.maps:
            what = "1 plane" if level == 1 else "2 planes"
        why = "the least there is suffices"
        if level > least:
            why = f"{level - least} fewer would give {predicted(alone, name, least):.2g}"
        choices.append(Choice(name, node.layer, what, error, why))
    order = {name: i for i, name in enumerate(graph.nodes)}
    return sorted(choices, key=lambda choice: order[choice.node])

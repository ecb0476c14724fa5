"""Traffic: messages of a run, counted from measured spikes and the placement.

A spike is one message to each core with a synapse of its compartment, also to its own (0 hops).
Partial sums are counted from the schedule: each block on another core than its rows' compartments
sends one message per row, segment (steps between two cuts) and token, even if the sum is 0, so this
is an upper bound.  Routes go along X first, then Y; chips are assumed to form a near-square grid
(compiler/mapping/mesh.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from compiler.mapping.footprint import segments
from compiler.mapping.links import Links, links
from compiler.mapping.mesh import Mesh
from compiler.netlist.model import Netlist
from hwsim.backends.counters import Counters


@dataclass
class Hops:
    """Numbers of messages and of the links they cross."""

    messages: int = 0
    local: int = 0  # of the messages: those to the same core
    east_west: int = 0  # hops between neighbours on the mesh
    north_south: int = 0
    crossings: int = 0  # of borders between chips


@dataclass
class Traffic:
    """Traffic of one run; `populations`: of the spikes of each population, by name."""

    spikes: Hops = field(default_factory=Hops)
    partial_sums: Hops = field(default_factory=Hops)
    populations: dict[str, Hops] = field(default_factory=dict)


def hops(net: Netlist, counters: Counters) -> Traffic:
    """Traffic of a run; raises ValueError where the netlist is not placed."""
    if net.placement is None:
        raise ValueError("hops needs a placed netlist")
    routes = links(net)
    messages = _messages(net, counters, routes)
    distance = Mesh.of(net.placement).distance(routes.sender, routes.receiver)
    local = routes.sender == routes.receiver
    columns = (
        np.stack([np.ones_like(messages), local, *distance]) * messages
    )  # in the order of Hops

    def total(which: NDArray[np.bool_]) -> Hops:
        return Hops(*columns[:, which].sum(1).tolist())

    own = {
        name: total((routes.population == i) & ~routes.partial)
        for i, name in enumerate(net.populations)
    }
    return Traffic(total(~routes.partial), total(routes.partial), own)


def _messages(net: Netlist, counters: Counters, routes: Links) -> NDArray[np.int64]:
    """Messages on each link in the whole run."""
    messages = np.zeros(len(routes), np.int64)
    for i, population in enumerate(net.populations.values()):
        own = (routes.population == i) & ~routes.partial
        if own.any():
            spikes = counters.populations[population.name].spikes
            upto = np.concatenate(([0], np.cumsum(spikes)))
            messages[own] = upto[routes.stop[own]] - upto[routes.start[own]]
        own = (routes.population == i) & routes.partial
        if own.any():
            rows = routes.stop[own] - routes.start[own]
            messages[own] = rows * segments(population) * counters.tokens
    return messages

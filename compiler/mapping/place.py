"""place: give each core of a partitioned netlist a position on the mesh, to shorten routes.

Needs: a partitioned netlist.  Leaves: the same tiles and blocks on renumbered cores.  Changes no
result.  Cores were filled in schedule order, so neighbours in this order exchange many messages: it
follows the best of three curves (rows, snake, Hilbert).  Small nets are then improved by swaps of
each core with its best partner, in a fixed order and number, so a net always gets the same
positions.

The cost is expected messages per token times hops; a chip crossing counts as the target's
`crossing_hops`.  How populations are cut matters more: on the shapes of OPT-125M, blocks of whole
rows cost three to four times as much in any order.  Relay trees are not built.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from compiler.mapping.links import Links, links
from compiler.mapping.mesh import Ints, Mesh
from compiler.netlist.model import Netlist, Placement
from compiler.targets.target import Target

Floats = NDArray[np.float32]
SWAP_CORES = 2000  # with more cores, the table of all distances would take too long
SWAP_WORK = 4e9  # limit of pairs of cores compared, times cores
SWEEPS = 30


def place(net: Netlist, target: Target) -> tuple[Netlist, dict[str, Any]]:
    """The netlist with renumbered cores, and a report: curve, expected hops before and after.

    Raises ValueError where the netlist is not partitioned.
    """
    if net.placement is None:
        raise ValueError("place needs a partitioned netlist")
    mesh = Mesh.of(net.placement)
    messages = links(net)
    weight = messages.expected(net)
    crossing = int(target.mesh.crossing_hops)
    rows = np.arange(net.placement.cores, dtype=np.int64)
    before = _cost(messages, weight, rows, mesh, crossing)
    curves = {"rows": rows, "snake": mesh.snake(), "hilbert": mesh.hilbert()}
    costs = {
        name: _cost(messages, weight, position, mesh, crossing) for name, position in curves.items()
    }
    start = min(costs, key=lambda name: costs[name])
    position = curves[start]
    if 1 < net.placement.cores <= SWAP_CORES:
        position = _swap_cores(position, graph(net, messages), mesh, crossing)
    after = _cost(messages, weight, position, mesh, crossing)
    report = {"curve": start, "hops_before": round(before), "hops_after": round(after)}
    return replace(net, placement=_renumbered(net.placement, position)), report


def graph(net: Netlist, messages: Links | None = None) -> nx.Graph:
    """Cores as nodes, in order; an edge's weight is the messages expected per token."""
    assert net.placement is not None
    messages = messages or links(net)
    traffic = nx.Graph()
    traffic.add_nodes_from(range(net.placement.cores))
    low = np.minimum(messages.sender, messages.receiver)
    high = np.maximum(messages.sender, messages.receiver)
    pairs, which = np.unique(low * net.placement.cores + high, return_inverse=True)
    weights = np.bincount(which.ravel(), messages.expected(net), len(pairs))
    for pair, weight in zip(pairs.tolist(), weights.tolist(), strict=True):
        a, b = divmod(pair, net.placement.cores)
        if a != b:
            traffic.add_edge(a, b, weight=weight)
    return traffic


def _cost(
    messages: Links, weight: NDArray[np.float64], position: Ints, mesh: Mesh, crossing: int
) -> float:
    distance = mesh.distance(position[messages.sender], position[messages.receiver])
    hops = distance.east_west + distance.north_south + crossing * distance.crossings
    return float(weight @ hops)


def _swap_cores(position: Ints, traffic: nx.Graph, mesh: Mesh, crossing: int) -> Ints:
    """Swap each core with the partner that saves most, sweep by sweep.

    This is 2-exchange for the quadratic assignment problem.
    """
    n = len(position)
    flow: Floats = nx.to_numpy_array(traffic, nodelist=range(n), dtype=np.float32)
    distance = mesh.distance(position[:, None], position[None])
    hops = distance.east_west + distance.north_south + crossing * distance.crossings
    far = hops.astype(np.float32)
    position = position.copy()
    own = (flow * far).sum(1)
    for _ in range(int(np.clip(SWAP_WORK // n**3, 1, SWEEPS))):
        swaps = 0
        for u in range(n):
            gain = own[u] + own - far @ flow[u] - flow @ far[u] - 2 * flow[u] * far[u]
            v = int(gain.argmax())
            if gain[v] <= 1e-3 * (1 + own[u]):  # not more than float32 rounding
                continue
            _swap(far, u, v)
            position[[u, v]] = position[[v, u]]
            own = (flow * far).sum(1)
            swaps += 1
        if not swaps:
            break
    return position


def _swap(far: Floats, u: int, v: int) -> None:
    """Exchange the positions of two cores in the table of distances."""
    far[[u, v]] = far[[v, u]]
    far[:, [u, v]] = far[:, [v, u]]


def _renumbered(placement: Placement, position: Ints) -> Placement:
    """The placement with core c moved to seat[c]."""
    number = position.tolist()
    tiles = tuple(replace(tile, core=number[tile.core]) for tile in placement.tiles)
    blocks = tuple(replace(block, core=number[block.core]) for block in placement.blocks)
    return replace(placement, tiles=tiles, blocks=blocks)

"""place: give each core of a partitioned netlist a seat, so that messages have short ways.

Needs: a partitioned netlist.  Leaves: the same tiles and blocks on renumbered cores.  Changes no
result.  Cores were opened in schedule order, so the order itself is good; it is laid along the best
of three curves (rows, snake, Hilbert), then small nets are improved by swaps, each the best partner
of one core, in a fixed order and number: same net, same seats.

The cost is expected messages a token times hops, a chip crossing counted as the target's
`crossing_hops`.  Tiling decides more than this: on the shapes of OPT-125M, rows-only tiles cost
three to four times as much, whatever the order.  Relay trees are not built.
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
SWAP_CORES = 2000  # above, a dense distance table no longer fits a second's work
SWAP_WORK = 4e9  # core pairs looked at, times cores
SWEEPS = 30


def place(net: Netlist, target: Target) -> tuple[Netlist, dict[str, Any]]:
    """The netlist with renumbered cores; the curve, and the expected hops before and after."""
    if net.placement is None:
        raise ValueError("place needs a partitioned netlist")
    mesh = Mesh.of(net.placement)
    messages = links(net)
    weight = messages.expected(net)
    crossing = int(target.mesh.crossing_hops)
    rows = np.arange(net.placement.cores, dtype=np.int64)
    before = _cost(messages, weight, rows, mesh, crossing)
    curves = {"rows": rows, "snake": mesh.snake(), "hilbert": mesh.hilbert()}
    costs = {name: _cost(messages, weight, seat, mesh, crossing) for name, seat in curves.items()}
    start = min(costs, key=lambda name: costs[name])
    seat = curves[start]
    if 1 < net.placement.cores <= SWAP_CORES:
        seat = _swapped(seat, graph(net, messages), mesh, crossing)
    after = _cost(messages, weight, seat, mesh, crossing)
    report = {"curve": start, "hops_before": round(before), "hops_after": round(after)}
    return replace(net, placement=_reseated(net.placement, seat)), report


def graph(net: Netlist, messages: Links | None = None) -> nx.Graph:
    """Cores as nodes, in order; edges weigh the messages expected between them in a token."""
    assert net.placement is not None
    messages = messages or links(net)
    drawn = nx.Graph()
    drawn.add_nodes_from(range(net.placement.cores))
    low = np.minimum(messages.sender, messages.receiver)
    high = np.maximum(messages.sender, messages.receiver)
    pairs, which = np.unique(low * net.placement.cores + high, return_inverse=True)
    weights = np.bincount(which.ravel(), messages.expected(net), len(pairs))
    for pair, weight in zip(pairs.tolist(), weights.tolist(), strict=True):
        a, b = divmod(pair, net.placement.cores)
        if a != b:
            drawn.add_edge(a, b, weight=weight)
    return drawn


def _cost(
    messages: Links, weight: NDArray[np.float64], seat: Ints, mesh: Mesh, crossing: int
) -> float:
    way = mesh.way(seat[messages.sender], seat[messages.receiver])
    hops = way.east_west + way.north_south + crossing * way.crossings
    return float(weight @ hops)


def _swapped(seat: Ints, drawn: nx.Graph, mesh: Mesh, crossing: int) -> Ints:
    """Swap each core with the partner that saves most, sweep after sweep (2-exchange of a QAP)."""
    n = len(seat)
    flow: Floats = nx.to_numpy_array(drawn, nodelist=range(n), dtype=np.float32)
    way = mesh.way(seat[:, None], seat[None])
    far = (way.east_west + way.north_south + crossing * way.crossings).astype(np.float32)
    seat = seat.copy()
    own = (flow * far).sum(1)
    for _ in range(int(np.clip(SWAP_WORK // n**3, 1, SWEEPS))):
        swaps = 0
        for u in range(n):
            gain = own[u] + own - far @ flow[u] - flow @ far[u] - 2 * flow[u] * far[u]
            v = int(gain.argmax())
            if gain[v] <= 1e-3 * (1 + own[u]):  # float32 noise is no gain
                continue
            _swap(far, u, v)
            seat[[u, v]] = seat[[v, u]]
            own = (flow * far).sum(1)
            swaps += 1
        if not swaps:
            break
    return seat


def _swap(far: Floats, u: int, v: int) -> None:
    """Exchange the seats of two cores in the table of distances."""
    far[[u, v]] = far[[v, u]]
    far[:, [u, v]] = far[:, [v, u]]


def _reseated(placement: Placement, seat: Ints) -> Placement:
    """The placement with core c moved to seat[c]."""
    number = seat.tolist()
    tiles = tuple(replace(tile, core=number[tile.core]) for tile in placement.tiles)
    blocks = tuple(replace(block, core=number[block.core]) for block in placement.blocks)
    return replace(placement, tiles=tiles, blocks=blocks)

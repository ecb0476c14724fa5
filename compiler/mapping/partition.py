"""partition: cut populations into tiles and dense groups into near-square blocks, each on one core.

Needs: populations in schedule order.  Leaves: a placement whose cores are numbered in the order in
which they were filled; `place` moves them on the mesh.  Changes no result.

A dense group [n_post, n_pre] in r rows and c columns of blocks sends each spike to r cores and
c - 1 partial sums to each compartment.  Blocks of whole rows (c = 1) send far more messages, 13
times as many on the shapes of Llama-2 7B.  Of all grids whose blocks need at most 1.05 times the
fewest cores, the one with the fewest messages is taken.  Blocks of the first column share the cores
of their rows' compartments (`home`).

`layout` computes all of this from shapes and counts; `count` sums it, `partition` lists the pieces.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from compiler.mapping.footprint import (
    UNLIMITED,
    BlockCost,
    Capacity,
    TileCost,
    Use,
    block_cost,
    compartments_of,
    expected_spikes,
    lane_axes,
    segments,
    tile_costs,
    weight_widths,
)
from compiler.mapping.packing import CoreRange, Packing
from compiler.mapping.size import LayerSize, Size
from compiler.netlist.model import (
    Block,
    Dense,
    Netlist,
    Network,
    Placement,
    Population,
    Tile,
    Written,
)
from compiler.netlist.wiring import Wiring
from compiler.targets.target import Target
from las_neuro.errors import TargetError

SLACK = 1.05  # most cores of a grid over the fewest possible, to save messages


@dataclass(frozen=True)
class Bundle:
    """Groups that are cut and stored together.

    Dense groups of one weight width from one source to one port, or a group of written synapses.
    """

    groups: tuple[int, ...]
    rows: int
    cols: int
    cost: BlockCost
    spikes: float  # expected, of one source compartment per token
    segments: int  # partial sums of a row per token


@dataclass(frozen=True)
class Run:
    """Pieces of one shape: row parts x column parts of a grid, and the cores they are on."""

    population: str
    bundle: Bundle | None  # None: compartments without dense synapses
    rows: int  # of every part of the grid except the last
    cols: int
    row_parts: tuple[int, int]  # first part of the grid, and one past the last
    col_parts: tuple[int, int]
    home: bool  # whether the pieces include the compartments of their rows
    use: Use
    ranges: tuple[CoreRange, ...] = ()

    @property
    def pieces(self) -> int:
        return (self.row_parts[1] - self.row_parts[0]) * (self.col_parts[1] - self.col_parts[0])


@dataclass
class Layout:
    """All runs of a netlist, on cores 0 .. cores - 1."""

    capacity: Capacity
    runs: list[Run] = field(default_factory=list)
    cores: int = 0


def partition(net: Netlist, target: Target, cores: Layout | None = None) -> Netlist:
    """The netlist with every compartment and every synapse on a core, by a layout.

    cores: None: the layout of fewest cores.  Raises TargetError where a single compartment needs
    more than a core has.
    """
    cores = cores or layout(net, target)
    tiles: list[Tile] = []
    blocks: list[Block] = []
    for run in cores.runs:
        population = net.populations[run.population]
        lanes = lane_axes(net, population)
        n = population.n // math.prod(population.axes[axis] for axis in lanes)
        for row, col, core in _pieces(run):
            start, stop = row * run.rows, min(n, (row + 1) * run.rows)
            if run.home:
                spans = compartments_of(population.axes, lanes, start, stop)
                tiles += [Tile(run.population, first, last, core) for first, last in spans]
            if run.bundle is None:
                continue
            left, right = col * run.cols, min(run.bundle.cols, (col + 1) * run.cols)
            for group in run.bundle.groups:
                blocks.append(Block(group, (start, stop), (left, right), core))
    placement = Placement(
        target.name,
        cores.cores,
        int(target.system.cores_per_chip),
        int(target.mesh.width),
        int(target.mesh.cores_per_router),
        tuple(tiles),
        tuple(blocks),
    )
    return replace(net, placement=placement)


def count(net: Network[Any], target: Target) -> Size:
    """The size of a net as `partition` would cut it, without listing the pieces."""
    return summary(net, layout(net, target), target.name)


def summary(net: Network[Any], cores: Layout, target_name: str) -> Size:
    """A layout summed by layer."""
    capacity = cores.capacity
    size = Size(target_name, cores.cores, weight_widths(net))
    layers: dict[int, LayerSize] = {}
    uncounted = {name: population.n for name, population in net.populations.items()}
    stored = {g.target for g in net.synapses if isinstance(g.form, Written) and net.in_blocks(g)}
    for run in cores.runs:
        population = net.populations[run.population]
        layer = layers.setdefault(population.layer, LayerSize(population.layer))
        share = run.pieces * run.use.share(capacity.limit)
        layer.cores += share
        layer.synapse_bytes += 8 * run.pieces * run.use.synapse_words
        layer.state_bytes += run.pieces * run.use.state_bytes
        if run.home:
            layer.compartments += uncounted.pop(run.population, 0)  # once, not run by run
        else:
            layer.partial_sums += run.pieces * run.use.compartments
        if run.population in stored:
            layer.written_cores += share
    for group in net.synapses:
        layer = layers[net.populations[group.target].layer]
        if isinstance(group.form, Dense):
            post, pre = group.form.weights.shape
            layer.weights += post * pre
        elif isinstance(group.form, Written):
            layer.written += math.prod(net.content_axes(group.form).values())
    size.layers = [layers[number] for number in sorted(layers)]
    bits = sum(weights * capacity.weight(bits) for bits, weights in size.widths.items())
    words = -(-bits // 64)
    size.weight_cores = -(-words // capacity.limit.synapse_words)
    return size


def layout(net: Network[Any], target: Target, fan_in: int | None = None) -> Layout:
    """Cut all populations and groups in blocks and pack the pieces on cores, in schedule order.

    fan_in: most synapses of a piece that spikes can reach in one step, each piece of a run being on
    a core of its own; None: those that a full core has.
    Raises TargetError where a single compartment needs more than a core has.
    """
    capacity = Capacity.of(net, target)
    if fan_in is not None:
        capacity = replace(capacity, limit=capacity.limit._replace(fan_in=fan_in))
    together = capacity.limit if fan_in is None else capacity.limit._replace(fan_in=UNLIMITED)
    packing = Packing(together, None if fan_in is None else 1)
    whole = Layout(capacity)
    bundles, costs = _bundles(net), tile_costs(net)
    for population in net.populations.values():
        for run in _runs(
            population, costs[population.name], bundles.get(population.name, []), capacity
        ):
            if not run.use.fits(capacity.limit):
                raise _too_large(population, run.use, capacity.limit, target)
            whole.runs.append(replace(run, ranges=tuple(packing.lay(run.use, run.pieces))))
    whole.cores = packing.cores
    return whole


def _bundles(net: Network[Any]) -> dict[str, list[Bundle]]:
    """Population -> its bundles; the largest comes first and decides how rows are cut."""
    groups: dict[tuple[str, str, str, int], list[int]] = {}
    for i, group in enumerate(net.synapses):
        if isinstance(group.form, Dense):
            key = (group.target, group.source, group.port, group.form.bits)
            groups.setdefault(key, []).append(i)
        elif net.in_blocks(group):
            groups[group.target, group.source, group.port, 0] = [i]
    wiring = Wiring(net)
    by_target: dict[str, list[Bundle]] = {}
    for (target, source, _, _), members in groups.items():
        group = net.synapses[members[0]]
        cost = block_cost(net, group, len(members))
        spikes = expected_spikes(wiring, source)
        sums = segments(net.populations[target])
        by_target.setdefault(target, []).append(
            Bundle(tuple(members), *net.block_shape(group), cost, spikes, sums)
        )
    for bundles in by_target.values():
        bundles.sort(key=lambda bundle: -bundle.rows * bundle.cols * bundle.cost.planes)
    return by_target


def _runs(
    population: Population, cost: TileCost, bundles: list[Bundle], capacity: Capacity
) -> Iterator[Run]:
    """The pieces of one population and of the dense groups into it."""
    if not bundles:
        rows = _tile_size(cost, cost.rows, capacity)
        yield from _grid_runs(population, None, rows, 1, cost, capacity)
    for bundle in bundles:
        home = cost if bundle is bundles[0] else None
        shape, sums = (bundle.rows, bundle.cols), bundle.segments
        rows, cols = grid(*shape, bundle.cost, bundle.spikes, sums, home, capacity)
        yield from _grid_runs(population, bundle, rows, cols, home, capacity)


def _grid_runs(
    population: Population, bundle: Bundle | None, rows: int, cols: int,
    home: TileCost | None, capacity: Capacity,
) -> Iterator[Run]:  # fmt: skip
    """Whole rows and the last, shorter one; the home column and the others."""
    whole, rest = divmod(home.rows if bundle is None and home else bundle.rows, rows)  # type: ignore[union-attr]
    parts = 1 if bundle is None else -(-bundle.cols // cols)
    for first, last, height in ((0, whole, rows), (whole, whole + 1, rest)):
        if last == first or not height:
            continue
        if home is not None:
            use = _home_use(home, bundle, height, rows, cols, capacity)
            yield Run(population.name, bundle, rows, cols, (first, last), (0, 1), True, use)
        start = 1 if home is not None else 0
        if bundle is not None and parts > start:
            use = bundle.cost.partial(capacity, height, cols)
            columns = (start, parts)
            yield Run(population.name, bundle, rows, cols, (first, last), columns, False, use)


def _home_use(
    home: TileCost, bundle: Bundle | None, height: int, step: int, cols: int, capacity: Capacity
) -> Use:
    use = home.use(capacity, height, step)
    if bundle is None:
        return use
    return use.plus(bundle.cost.use(capacity, height, cols))


@lru_cache(maxsize=4096)
def grid(
    n_post: int,
    n_pre: int,
    cost: BlockCost,
    spikes: float,
    sums: int,
    home: TileCost | None,
    capacity: Capacity,
) -> tuple[int, int]:
    """Rows and columns of a block: the fewest messages within SLACK of the fewest cores.

    spikes: expected, of one source compartment per token.  sums: partial sums of a row per token.
    home: cost of the rows' compartments, if the first column's blocks share their cores.
    """
    candidates: list[tuple[float, float, int, int]] = []  # cores, messages, rows, cols
    splits = np.unique(-(-n_pre // np.arange(1, n_pre + 1)))  # all widths of columns
    for cols in splits[splits <= capacity.limit.input_axons].tolist():
        rows = _most_rows(n_post, cols, cost, home, capacity)
        if not rows:
            continue
        parts = -(-n_pre // cols)
        uses = [cost.partial(capacity, rows, cols)]
        if home is not None:
            uses.append(home.use(capacity, rows, rows).plus(cost.use(capacity, rows, cols)))
        fill = max(use.share(capacity.limit) for use in uses) if rows == n_post else 1.0
        cores = parts * fill * n_post / rows
        partial = (parts - (home is not None)) * n_post * sums * cost.planes
        messages = cost.lanes * (-(-n_post // rows) * n_pre * spikes + partial)
        candidates.append((cores, messages, rows, cols))
    if not candidates:  # not even one row fits: the caller raises the error
        return 1, n_pre
    fewest = min(candidates)[0]
    best = min((f for f in candidates if f[0] <= SLACK * fewest), key=lambda f: (f[1], f[0]))
    return best[2], best[3]


def _most_rows(
    n_post: int, cols: int, cost: BlockCost, home: TileCost | None, capacity: Capacity
) -> int:
    """Most rows of a block with `cols` columns that fit both a home core and the other cores."""
    low, high = 0, min(n_post, capacity.limit.compartments // cost.lanes)
    while low < high:
        rows = (low + high + 1) // 2
        fits = cost.partial(capacity, rows, cols).fits(capacity.limit)
        if fits and home is not None:
            use = home.use(capacity, rows, rows).plus(cost.use(capacity, rows, cols))
            fits = use.fits(capacity.limit)
        low, high = (rows, high) if fits else (low, rows - 1)
    return low


def _tile_size(cost: TileCost, n: int, capacity: Capacity) -> int:
    """Most rows of a tile; within 5 % of that, the size that needs the fewest axons."""
    most = min(n, capacity.limit.compartments // cost.lanes)
    while most > 1:
        fitting = [s for s in cost.aligned(most) if cost.use(capacity, s, s).fits(capacity.limit)]
        if fitting:
            large = [size for size in fitting if SLACK * size >= max(fitting)]
            return min(large, key=lambda s: (cost.use(capacity, s, s).input_axons, -s))
        most = most * 7 // 8
    return 1


def _pieces(run: Run) -> Iterator[tuple[int, int, int]]:
    """(row part, column part, core) of every piece, row by row."""
    width = run.col_parts[1] - run.col_parts[0]
    i = 0
    for cores in run.ranges:
        for k in range(cores.pieces):
            row, col = divmod(i, width)
            yield run.row_parts[0] + row, run.col_parts[0] + col, cores.first + k // cores.per_core
            i += 1


def _too_large(population: Population, use: Use, limit: Use, target: Target) -> TargetError:
    for what, need, has in zip(Use._fields, use, limit, strict=True):
        if need > has:
            return TargetError(
                f"population {population.name}: one compartment needs {need:,} "
                f"{what.replace('_', ' ')}, a core of {target.name} has {has:,}",
                "shrink the tables of this population or choose a larger target",
            )
    raise AssertionError("it fits")

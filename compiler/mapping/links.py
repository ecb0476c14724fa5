"""Links: which compartments send to which core, and which blocks send partial sums.

A spike goes once to each core that holds a synapse of its compartment, however many synapses and
groups there are on that core.  Synapses of a Pattern or Gather are on the cores of the target's
compartments, those of a Dense group in its blocks.  A block on another core than its rows'
compartments sends them one sum per row and segment (steps between two cuts).  Expected messages are
estimates for `place`; hwsim/accounts/traffic.py measures them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compiler.mapping.footprint import expected_spikes, segments
from compiler.mapping.mesh import Ints
from compiler.netlist.model import Block, Dense, Gather, Netlist, Pattern, Placement, Synapses, Tile
from compiler.netlist.wiring import Wiring

Row = tuple[int, int, int, int, int]  # group, core that sends, core that receives, start, stop


@dataclass(frozen=True)
class Links:
    """All links; each array has one entry per link.

    Spikes: compartments start .. stop of the group's source, on `sender`, send to `receiver`.
    Partial sums: rows start .. stop of the group's target, summed on `sender`, go to `receiver`.
    group: number of the synapse group; of several groups that share a link, the first.
    """

    group: Ints
    sender: Ints
    receiver: Ints
    start: Ints
    stop: Ints
    partial: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.group)

    def expected(self, net: Netlist) -> NDArray[np.float64]:
        """Messages per token on each link, estimated without a run."""
        wiring = Wiring(net)
        each = np.array(
            [
                (expected_spikes(wiring, g.source), segments(net.populations[g.target]))
                for g in net.synapses
            ],
            np.float64,
        ).reshape(-1, 2)
        per_row = np.where(self.partial, each[self.group, 1], each[self.group, 0])
        result: NDArray[np.float64] = per_row * (self.stop - self.start)
        return result


def links(net: Netlist, placement: Placement | None = None) -> Links:
    """All links of a placed netlist: spikes by population in order, then partial sums.

    Raises ValueError where there is no placement.
    """
    placement = placement or net.placement
    if placement is None:
        raise ValueError("links needs a placed netlist")
    tiles: dict[str, list[Tile]] = {name: [] for name in net.populations}
    for tile in placement.tiles:
        tiles[tile.population].append(tile)
    for own in tiles.values():
        own.sort(key=lambda tile: tile.start)
    blocks: dict[int, list[Block]] = {}
    for block in placement.blocks:
        blocks.setdefault(block.group, []).append(block)
    spikes = list(_spikes(net, tiles, blocks))
    sums = list(_partials(net, tiles, blocks))
    rows = np.array(spikes + sums, np.int64).reshape(-1, 5)
    partial = np.arange(len(rows)) >= len(spikes)
    return Links(rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3], rows[:, 4], partial)


def _spikes(
    net: Netlist, tiles: dict[str, list[Tile]], blocks: dict[int, list[Block]]
) -> Iterator[Row]:
    wiring = Wiring(net)
    for name in net.populations:
        by_core: dict[int, list[tuple[int, int, int]]] = {}  # core -> start, stop, group
        for i, group in wiring.numbered_out_of(name):
            for core, start, stop in _sources(net, group, tiles[group.target], blocks.get(i, [])):
                by_core.setdefault(core, []).append((start, stop, i))
        for core, ranges in by_core.items():
            for start, stop, i in _merged(ranges):
                for sender, first, last in _split(tiles[name], start, stop):
                    yield i, sender, core, first, last


def _sources(
    net: Netlist, group: Synapses, targets: list[Tile], blocks: list[Block]
) -> Iterator[tuple[int, int, int]]:
    """(core, start, stop): ranges of source compartments with synapses on a core."""
    if isinstance(group.form, Dense):
        for block in blocks:
            yield block.core, *block.cols
        return
    for tile in targets:
        if isinstance(group.form, Pattern):
            sources = _along_axes(net, group, tile)
        else:
            assert isinstance(group.form, Gather)
            sources = np.unique(group.form.index[tile.start : tile.stop]).astype(np.int64)
        for start, stop in _ranges(sources):
            yield tile.core, start, stop


def _ranges(places: Ints) -> Iterator[tuple[int, int]]:
    """Sorted indices as ranges without gaps."""
    breaks = np.flatnonzero(np.diff(places) != 1)
    firsts = places[np.concatenate(([0], breaks + 1))]
    lasts = places[np.concatenate((breaks, [len(places) - 1]))]
    yield from zip(firsts.tolist(), (lasts + 1).tolist(), strict=True)


def _along_axes(net: Netlist, group: Synapses, tile: Tile) -> Ints:
    """Source compartments with the same indices on the common axes as a compartment of a tile."""
    source = net.populations[group.source].axes
    target = net.populations[group.target].axes
    shape = tuple(target.values())
    if not shape or not set(source) & set(target):
        return np.arange(net.populations[group.source].n, dtype=np.int64)
    here = dict(zip(target, np.unravel_index(np.arange(tile.start, tile.stop), shape), strict=True))
    first, height = 0, next(iter(source.values()))  # the part of the outermost axis that is needed
    outer = next(iter(source))
    if outer in here:
        first = int(here[outer].min())
        height = int(here[outer].max()) + 1 - first
        here[outer] = here[outer] - first
    field = {**source, outer: height}
    shared = [axis for axis in source if axis in here]
    live = np.zeros([field[axis] for axis in shared], bool)
    live[tuple(here[axis] for axis in shared)] = True
    spread = live.reshape([field[axis] if axis in here else 1 for axis in source])
    whole = np.broadcast_to(spread, tuple(field.values()))
    inner = int(np.prod(list(source.values())[1:], dtype=np.int64))
    sources: Ints = np.flatnonzero(whole) + first * inner
    return sources


def _merged(ranges: list[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
    """Union of ranges (start, stop, group); each part has the smallest number of its groups."""
    begin, end, group = -1, -1, -1
    for start, stop, i in sorted(ranges):
        if start > end:
            if group >= 0:
                yield begin, end, group
            begin, end, group = start, stop, i
        else:
            end, group = max(end, stop), min(group, i)
    if group >= 0:
        yield begin, end, group


def _split(tiles: list[Tile], start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """(core, start, stop) of each tile's part of a range."""
    starts = [tile.start for tile in tiles]
    at = int(np.searchsorted(starts, start, "right")) - 1
    while at < len(tiles) and tiles[at].start < stop:
        yield tiles[at].core, max(start, tiles[at].start), min(stop, tiles[at].stop)
        at += 1


def _partials(
    net: Netlist, tiles: dict[str, list[Tile]], blocks: dict[int, list[Block]]
) -> Iterator[Row]:
    for i, own in blocks.items():
        for block in own:
            for core, start, stop in _split(tiles[net.synapses[i].target], *block.rows):
                if core != block.core:
                    yield i, block.core, core, start, stop

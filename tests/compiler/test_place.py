"""Place: a permutation of cores that shortens ways; links against a count synapse by synapse."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from test_partition import LOIHI2, decoder, feed_forward, narrow

from compiler.mapping.limits import check_limits
from compiler.mapping.links import links
from compiler.mapping.partition import partition
from compiler.mapping.place import graph, place
from compiler.netlist.model import Dense, Gather, Netlist, Written
from compiler.targets import load
from hwsim.accounts.traffic import hops
from hwsim.backends.counters import Counters

SMALL = narrow(LOIHI2, compartments=48, synapse_words=150, pool_words=600)


def owner(net: Netlist, name: str) -> list[int]:
    """Core of each compartment."""
    assert net.placement is not None
    cores = [-1] * net.populations[name].n
    for tile in net.placement.tiles:
        if tile.population == name:
            cores[tile.start : tile.stop] = [tile.core] * (tile.stop - tile.start)
    return cores


def meetings(net: Netlist, source: str, target: str) -> Iterator[tuple[int, int]]:
    """(target, source) compartments that agree on the axes both have."""
    a, b = net.populations[source].axes, net.populations[target].axes
    sources = [dict(zip(a, spot, strict=True)) for spot in np.ndindex(*a.values())]
    for t, spot in enumerate(np.ndindex(*b.values())):
        there = dict(zip(b, spot, strict=True))
        for i, here in enumerate(sources):
            if all(there.get(axis, value) == value for axis, value in here.items()):
                yield t, i


def receivers(net: Netlist, name: str) -> list[set[int]]:
    """Cores that each compartment reaches, synapse by synapse; one that writes, where it writes."""
    assert net.placement is not None
    found: list[set[int]] = [set() for _ in range(net.populations[name].n)]
    for index, group in enumerate(net.synapses):
        form = group.form
        writes = isinstance(form, Written) and name in (form.value, form.pointer)
        if group.source != name and not writes:
            continue
        if isinstance(form, Dense):
            for block in net.placement.blocks:
                for i in range(*block.cols) if block.group == index else ():
                    found[i].add(block.core)
            continue
        core = owner(net, group.target)
        gathered = enumerate(form.index.tolist()) if isinstance(form, Gather) else None
        for t, i in gathered or meetings(net, name, group.target):
            found[i].add(core[t])
    return found


@pytest.mark.parametrize(
    "make", [lambda: decoder(1, 16, 24, 60, 2, 6), lambda: feed_forward(40, 90)]
)
def test_links_equal_a_count_by_synapse(make: Callable[[], Netlist]) -> None:
    net = partition(make(), SMALL)
    found = links(net)
    for number, name in enumerate(net.populations):
        wanted, cores = receivers(net, name), owner(net, name)
        got: list[list[int]] = [[] for _ in wanted]
        for sends, sender, receiver, start, stop, partial in zip(
            found.population, found.sender, found.receiver, found.start, found.stop, found.partial,
            strict=True,
        ):  # fmt: skip
            if not partial and sends == number:
                for i in range(start, stop):
                    assert cores[i] == sender
                    got[i].append(int(receiver))
        assert [sorted(cores_) for cores_ in got] == [sorted(cores_) for cores_ in wanted]


def test_place_shortens_ways_and_keeps_every_piece() -> None:
    before = partition(decoder(2, 96, 384, 300, 4, 16), SMALL)
    after, report = place(before, SMALL)
    assert before.placement
    assert after.placement
    assert report["hops_after"] < 0.7 * report["hops_before"]
    check_limits(after, SMALL)
    seat: dict[int, int] = {}
    for old, new in zip(before.placement.tiles, after.placement.tiles, strict=True):
        assert seat.setdefault(old.core, new.core) == new.core
        assert (old.population, old.start, old.stop) == (new.population, new.start, new.stop)
    assert len(set(seat.values())) == len(seat)
    assert after.placement == place(before, SMALL)[0].placement


def test_the_graph_weighs_messages_between_cores() -> None:
    net = partition(feed_forward(600, 800), LOIHI2)
    drawn, found = graph(net), links(net)
    between = found.sender != found.receiver
    assert drawn.size("weight") == pytest.approx(found.expected(net)[between].sum())


def test_traffic_of_one_spike() -> None:
    net = partition(feed_forward(400, 600), LOIHI2)
    assert net.placement is not None
    counters = Counters.of(net)
    counters.tokens = 1
    counters.populations["x.spikes"].spikes[3] = 1
    found = hops(net, counters)
    assert found.spikes.messages == len(receivers(net, "x.spikes")[3])
    assert found.populations["x"].messages == 0
    away = [
        b for b in net.placement.blocks
        if owner(net, "y0")[b.rows[0]] != b.core
    ]  # fmt: skip
    assert found.partial_sums.messages == sum(b.rows[1] - b.rows[0] for b in away)


def test_chip_crossings_are_counted() -> None:
    target = load("kapoho-point")
    net, _ = place(partition(feed_forward(3072, 4096), target), target)
    assert net.placement is not None
    assert net.placement.chips == 2
    counters = Counters.of(net)
    counters.populations["x.spikes"].spikes[:] = 1
    assert hops(net, counters).spikes.crossings > 0

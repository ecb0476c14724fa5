"""Partition: every weight and compartment once, no core over a limit, near-square blocks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compiler.mapping.footprint import BlockCost, Capacity, Use
from compiler.mapping.limits import check_limits
from compiler.mapping.links import links
from compiler.mapping.packing import Packing
from compiler.mapping.partition import count, grid, partition
from compiler.netlist.model import (
    Dense,
    Form,
    Gather,
    Netlist,
    Pattern,
    Population,
    Synapses,
    Written,
)
from compiler.targets import Target, load

LOIHI2 = load("loihi2")
CODE = {
    **{"multiplier": 1, "shift": 0, "steps": 16, "digits": 16, "digit_bits": 1},
    **{"signed_digit": 0, "skipped": 0, "outlier_shift": 0, "outliers": 0},
}
SUM = {
    "shift": tuple(range(16)), "cut": (0,) * 16, "multiplier": 1, "divide": 0, "bias": 0,
    "low": -1, "high": 1, "gated": 0, "safe": 1,
}  # fmt: skip

PARAMS: dict[str, dict[str, Any]] = {"encode": CODE, "integrate": SUM}


@dataclass(frozen=True)
class Symbol:
    """A matrix that has a shape and nothing else."""

    shape: tuple[int, int]

    def load(self) -> NDArray[np.int8]:
        raise AssertionError("planning read a weight")


class Drawing:
    """A netlist drawn by hand."""

    def __init__(self) -> None:
        self.net = Netlist("opt", True, 16, 10, "", "logits")

    def add(self, name: str, kind: str, layer: int = 0, **axes: int) -> str:
        params: dict[str, Any] = PARAMS.get(kind, {})
        self.net.populations[name] = Population(name, kind, axes, params, layer=layer)
        return name

    def join(self, source: str, target: str, port: str, form: Form | None = None) -> None:
        a, b = self.net.populations[source], self.net.populations[target]
        form = form or Pattern(tuple(a.axes), tuple(b.axes))
        self.net.synapses.append(Synapses(source, target, port, form))

    def encode(self, source: str, layer: int = 0) -> str:
        name = self.add(f"{source}.spikes", "encode", layer, **self.net.populations[source].axes)
        self.join(source, name, "x")
        return name

    def dense(self, source: str, name: str, layer: int = 0, bits: int = 8, **axes: int) -> str:
        self.add(name, "integrate", layer, **axes)
        shape = (self.net.populations[name].n, self.net.populations[source].n)
        self.join(source, name, "a", Dense(Symbol(shape), bits))
        return name


def feed_forward(*widths: int, bits: int = 8) -> Netlist:
    """Encoders and dense groups of these widths, one after another."""
    drawing = Drawing()
    last = drawing.add("x", "input", c=widths[0])
    for i, width in enumerate(widths[1:]):
        last = drawing.dense(drawing.encode(last, i), f"y{i}", i, bits, c=width)
    return drawing.net


def decoder(layers: int, d: int, f: int, words: int, heads: int, slots: int) -> Netlist:
    """An OPT-like decoder: attention by written synapses of 14 bits, two-layer MLP."""
    drawing = Drawing()
    each = {"k": heads, "g": 1, "d": d // heads}
    x = drawing.add("x", "input", -1, c=d)
    for i in range(layers):
        spikes = drawing.encode(x, i)
        q, k, v = (drawing.dense(spikes, f"{i}.{part}", i, **each) for part in "qkv")
        pointer = drawing.add(f"{i}.pointer", "pointer", i, j=slots)
        scores = drawing.add(f"{i}.scores", "integrate", i, k=heads, g=1, j=slots)
        mixed = drawing.add(f"{i}.mixed", "integrate", i, **each)
        for source, target, value in ((q, scores, k), (scores, mixed, v)):
            form = Written(("k", "g", "j", "d"), value, pointer, 8127)
            drawing.join(drawing.encode(source, i), target, "a", form)
        out = drawing.dense(drawing.encode(mixed, i), f"{i}.out", i, c=d)
        drawing.join(x, out, "a")
        up = drawing.dense(drawing.encode(out, i), f"{i}.up", i, c=f)
        x = drawing.dense(drawing.encode(up, i), f"{i}.down", i, c=d)
        drawing.join(out, x, "a")
    drawing.dense(drawing.encode(x, layers), "head", layers, c=words)
    return drawing.net


def assert_whole(net: Netlist) -> None:
    """Every compartment in exactly one tile, every weight in exactly one block."""
    assert net.placement is not None
    held = {name: np.zeros(p.n, int) for name, p in net.populations.items()}
    for tile in net.placement.tiles:
        held[tile.population][tile.start : tile.stop] += 1
    assert all((found == 1).all() for found in held.values())
    for i, group in enumerate(net.synapses):
        if isinstance(group.form, Dense):
            stored = np.zeros(group.form.weights.shape, int)
            for block in net.placement.blocks:
                if block.group == i:
                    stored[slice(*block.rows), slice(*block.cols)] += 1
            assert (stored == 1).all()
    cores = {tile.core for tile in net.placement.tiles}
    cores |= {block.core for block in net.placement.blocks}
    assert cores == set(range(net.placement.cores))


def narrow(target: Target, **limits: int) -> Target:
    """A target with smaller cores."""
    core = target.core
    changed = {k: getattr(core, k).model_copy(update={"value": v}) for k, v in limits.items()}
    return target.model_copy(update={"core": core.model_copy(update=changed)})


@settings(max_examples=40, deadline=None)
@given(
    widths=st.lists(st.integers(1, 90), min_size=2, max_size=4),
    words=st.integers(16, 400),
    compartments=st.integers(4, 64),
    groups=st.integers(1, 8),
    bits=st.integers(1, 8),
)
def test_pieces_are_whole_and_fit(
    widths: list[int], words: int, compartments: int, groups: int, bits: int
) -> None:
    target = narrow(
        LOIHI2, synapse_words=words, pool_words=words + 200, compartments=compartments,
        neuron_groups=groups,
    )  # fmt: skip
    net = partition(feed_forward(*widths, bits=bits), target)
    assert_whole(net)
    check_limits(net, target)
    assert net.placement is not None
    assert count(net, target).cores == net.placement.cores


@pytest.mark.parametrize(("d", "slots"), [(32, 16), (64, 64), (96, 30)])
def test_a_decoder_is_whole_and_fits(d: int, slots: int) -> None:
    net = partition(decoder(2, d, 3 * d, 500, 4, slots), LOIHI2)
    assert_whole(net)
    check_limits(net, LOIHI2)
    assert net.placement is not None
    assert count(net, LOIHI2).cores == net.placement.cores


def test_planes_of_one_weight_are_cut_alike() -> None:
    net = feed_forward(400, 600)
    net.synapses.append(replace(net.synapses[-1]))
    net = partition(net, LOIHI2)
    assert_whole(net)
    check_limits(net, LOIHI2)
    assert net.placement is not None
    cuts = [
        {(b.rows, b.cols, b.core) for b in net.placement.blocks if b.group == g} for g in (1, 2)
    ]
    assert cuts[0] == cuts[1]


def test_narrow_weights_take_the_room_of_their_bits() -> None:
    """8 weights of 8 bits a word, 16 of 4, 21 of 3: in a block, a layer and a model."""
    wide, half = (feed_forward(4096, 4096, bits=bits) for bits in (8, 4))
    uses = {
        bits: BlockCost(1, bits, 1, 960).use(Capacity.of(half, LOIHI2), rows=960, cols=100)
        for bits in (8, 4, 3, 1)
    }
    words = {bits: use.synapse_words for bits, use in uses.items()}
    assert words == {8: 12_000, 4: 6_000, 3: 4_500, 1: 1_500}
    assert {use.fan_in for use in uses.values()} == {96_000}
    sizes = count(wide, LOIHI2), count(half, LOIHI2)
    assert [size.widths for size in sizes] == [{8: 4096**2}, {4: 4096**2}]
    assert [size.weight_cores for size in sizes] == [175, 88]
    assert sizes[1].cores <= 0.53 * sizes[0].cores
    stored = [size.synapse_bytes for size in sizes]
    assert stored[1] / stored[0] == pytest.approx(0.5, abs=0.01)


def test_two_widths_into_one_population() -> None:
    """Stored apart, each in its own room; the limits count what the partition counted."""
    drawing = Drawing()
    spikes = drawing.encode(drawing.add("x", "input", c=500))
    drawing.dense(spikes, "y", c=700)
    drawing.join(spikes, "y", "a", Dense(Symbol((700, 500)), 3))
    net = partition(drawing.net, LOIHI2)
    assert_whole(net)
    check_limits(net, LOIHI2)
    size = count(net, LOIHI2)
    assert size.widths == {3: 350_000, 8: 350_000}
    assert size.weight_bits == 8
    assert size.weights == 700_000
    assert net.placement is not None
    assert size.cores == net.placement.cores


def test_two_sources_of_one_population() -> None:
    drawing = Drawing()
    for name, n in (("a", 300), ("b", 500)):
        drawing.encode(drawing.add(name, "input", c=n))
    drawing.dense("a.spikes", "y", c=700)
    drawing.join("b.spikes", "y", "a", Dense(Symbol((700, 500))))
    turned = drawing.add("turned", "integrate", c=700)
    index = np.arange(700, dtype=np.int32)[::-1].copy()
    drawing.join("y", turned, "a", Gather(index, np.ones(700, np.int8)))
    net = partition(drawing.net, LOIHI2)
    assert_whole(net)
    check_limits(net, LOIHI2)


def test_same_net_same_pieces() -> None:
    first = partition(decoder(1, 64, 128, 100, 4, 32), LOIHI2)
    assert first.placement == partition(decoder(1, 64, 128, 100, 4, 32), LOIHI2).placement


def test_large_blocks_are_nearly_square_and_save_messages() -> None:
    net = partition(feed_forward(4096, 4096), LOIHI2)
    assert net.placement is not None
    messages = links(net).expected(net).sum()
    block = net.placement.blocks[0]
    rows, cols = (block.rows[1] - block.rows[0], block.cols[1] - block.cols[0])
    fewest = -(-4096 * 4096 // 96_000)
    assert net.placement.cores <= 1.06 * fewest
    rows_only = 4096 * 0.4 * 16 * -(-4096 // (12_000 * 8 // 4096))
    assert messages < rows_only / 4
    assert rows > 300
    assert cols < 320


def test_a_sum_over_a_context_is_spread_over_cores() -> None:
    net = partition(decoder(1, 64, 64, 10, 4, 4096), LOIHI2)
    assert net.placement is not None
    number = next(i for i, group in enumerate(net.synapses) if group.target == "0.mixed")
    blocks = [block for block in net.placement.blocks if block.group == number]
    areas = [(b.rows[1] - b.rows[0]) * (b.cols[1] - b.cols[0]) for b in blocks]
    assert sum(areas) == 64 * 4096
    assert 2 * max(areas) <= 96_000  # two slices
    assert len({block.core for block in blocks}) > 4


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000))
def test_grid_blocks_fit(n_post: int, n_pre: int) -> None:
    room = Capacity.of(feed_forward(1, 1), LOIHI2)
    rows, cols = grid(n_post, n_pre, BlockCost(1, 8, 1, n_post), 6.4, 1, None, room)
    assert cols * -(-rows // 8) <= room.limit.synapse_words
    assert 1 <= rows <= n_post
    assert 1 <= cols <= n_pre


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 10), st.integers(1, 10), st.integers(1, 30)), max_size=20))
def test_packing_never_overfills(runs: list[tuple[int, int, int]]) -> None:
    limit = Use(10, 10, 10, 10, 8, 10, 10)
    packing = Packing(limit)
    held: dict[int, Use] = {}
    for compartments, words, pieces in runs:
        use = Use(compartments, words, words, 0, 1, 0, 0)
        placed: Counter[int] = Counter()
        for laid in packing.lay(use, pieces):
            placed.update(laid.first + k // laid.per_core for k in range(laid.pieces))
        assert sum(placed.values()) == pieces
        for core, number in placed.items():
            for _ in range(number):
                held[core] = held.get(core, Use()).plus(use)
    assert all(use.fits(limit) for use in held.values())
    assert set(held) == set(range(packing.cores))

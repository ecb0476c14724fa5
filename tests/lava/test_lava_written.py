"""Written synapses as blocks, digits and outputs for Lava's learning rules; needs no Lava."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from wiring import wire

from compiler.netlist.model import Netlist, Population, Synapses, Written
from hwsim.backends.lava.cell import Cell, Shard
from hwsim.backends.lava.plan import fine_processes
from hwsim.backends.lava.synapses import written_reach
from hwsim.backends.lava.written import Tap, blocks, by_rows, digit, taps

SIZES = {"k": 2, "g": 2, "j": 3, "d": 2}


def net(source: str, content: str, target: str, limit: int = 8127) -> Netlist:
    """One group; axes of one letter each, those of the value are the content's without j."""

    def population(name: str, kind: str, axes: str) -> Population:
        return Population(name, kind, {axis: SIZES[axis] for axis in axes}, {}, (0,), (0,))

    value = "".join(axis for axis in content if axis != "j")
    return wire(
        [
            population("v", "product", value),
            population("p", "pointer", "j"),
            population("s", "product", source),
            population("t", "product", target),
        ],
        [Synapses("s", "t", "a", Written(tuple(content), "v", "p", limit))],
    )


def drawn(made: Netlist) -> list[tuple[list[int], list[int], list[int], list[list[int]]]]:
    (group,) = made.synapses
    return [
        (b.pre.tolist(), b.post.tolist(), b.values.tolist(), b.content.tolist())
        for b in blocks(group, made)
    ]


def test_keys_are_a_block_for_each_head_and_query() -> None:
    """Content [k 2, j 3, d 2]; the numbers of a head are in a block of each of its queries g."""
    made = net("kgd", "kjd", "kgj")
    assert by_rows(made.synapses[0], made)
    first = [[0, 1], [2, 3], [4, 5]]
    second = [[6, 7], [8, 9], [10, 11]]
    assert drawn(made) == [
        ([0, 1], [0, 1, 2], [0, 1], first),
        ([2, 3], [3, 4, 5], [0, 1], first),
        ([4, 5], [6, 7, 8], [2, 3], second),
        ([6, 7], [9, 10, 11], [2, 3], second),
    ]


def test_values_have_slots_in_their_columns() -> None:
    made = net("kj", "kjd", "kd")
    assert not by_rows(made.synapses[0], made)
    assert drawn(made) == [
        ([0, 1, 2], [0, 1], [0, 1], [[0, 2, 4], [1, 3, 5]]),
        ([3, 4, 5], [2, 3], [2, 3], [[6, 8, 10], [7, 9, 11]]),
    ]


def test_a_gate_is_copied_along_the_heads() -> None:
    made = net("", "j", "kj")
    assert drawn(made) == [
        ([0], [0, 1, 2], [0], [[0], [1], [2]]),
        ([0], [3, 4, 5], [0], [[0], [1], [2]]),
    ]


def test_a_waiting_stream_is_one_block() -> None:
    made = net("j", "jd", "d")
    assert not by_rows(made.synapses[0], made)
    assert drawn(made) == [([0, 1, 2], [0, 1], [0, 1], [[0, 2, 4], [1, 3, 5]])]


@pytest.mark.parametrize(
    ("value", "digits"),
    [
        (0, [0, 0, 0]),
        (63, [63, 0, 0]),
        (64, [-64, 1, 0]),
        (-64, [-64, 0, 0]),
        (-65, [63, -1, 0]),
        (8127, [63, 63, 0]),
        (8128, [-64, -64, 1]),
        (-8127, [-63, -63, 0]),
        (-8256, [-64, -64, 0]),
        (1040319, [63, 63, 63]),
        (-1040319, [-63, -63, -63]),
    ],
)
def test_digits_of_a_number(value: int, digits: list[int]) -> None:
    assert [digit(np.array([value]), place).tolist() for place in range(3)] == [[d] for d in digits]


@pytest.mark.parametrize(("limit", "slices"), [(63, 1), (8127, 2), (1040319, 3)])
def test_slices_hold_all_numbers_up_to_the_limit(limit: int, slices: int) -> None:
    numbers = np.unique(np.concatenate([np.arange(-66, 67), np.linspace(-limit, limit, 999)]))
    numbers = np.unique(np.clip(numbers.astype(np.int64), -limit, limit))
    digits = [digit(numbers, place) for place in range(slices)]
    np.testing.assert_array_equal(sum(d << 7 * p for p, d in enumerate(digits)), numbers)
    assert all(d.min() >= -64 and d.max() == 63 for d in digits)
    assert not digit(numbers, slices).any()


def test_what_a_population_sends_to_a_block() -> None:
    payload = np.array([5, -64, 64])
    chosen = np.array([2, 1])
    assert Tap("read", chosen).of(payload).tolist() == [64, -64]
    assert Tap("write", chosen, 0).of(payload).tolist() == [0, 0]
    assert Tap("write", chosen, 1).of(payload).tolist() == [65, 64]
    assert Tap("write", np.array([0]), 0, 2).of(payload).tolist() == [138]
    assert Tap("enable", chosen, ones=True).of(payload).tolist() == [1, 1]
    for tap in (Tap("read", chosen), Tap("write", chosen, 0), Tap("enable", chosen, ones=True)):
        assert tap.of(None).tolist() == [0, 0]


def told(outputs: dict[str, list[Tap]]) -> dict[str, list[tuple[Any, ...]]]:
    return {
        name: [(t.port, t.compartments.tolist(), t.place, t.factor, t.ones) for t in own]
        for name, own in outputs.items()
    }


def test_outputs_where_slots_are_rows() -> None:
    """A digit travels twice, for payload 2 x1; the target sends nothing."""
    assert told(taps(net("d", "jd", "j"))) == {
        "v": [
            ("write_group0_block0_0", [0, 1], 0, 2, False),
            ("write_group0_block0_1", [0, 1], 1, 2, False),
        ],
        "p": [("slot_group0_block0", [0, 1, 2], None, 1, False)],
        "s": [("read_group0_block0", [0, 1], None, 1, False)],
        "t": [],
    }


def test_outputs_where_slots_are_columns() -> None:
    """All of the target's compartments are to spike when a slot is written."""
    assert told(taps(net("j", "jd", "d", 63))) == {
        "v": [
            ("enable_group0_block0", [0, 1], None, 1, True),
            ("write_group0_block0_0", [0, 1], 0, 1, False),
        ],
        "p": [("slot_group0_block0", [0, 1, 2], None, 1, False)],
        "s": [("read_group0_block0", [0, 1, 2], None, 1, False)],
        "t": [],
    }


@pytest.mark.parametrize(("limit", "slices"), [(63, 1), (64, 2), (8128, 3)])
def test_processes_of_a_group(limit: int, slices: int) -> None:
    """Four populations, and four blocks with a process for each slice."""
    assert fine_processes(net("kgd", "kjd", "kgj", limit)) == 4 + 4 * slices


def test_how_far_sums_of_a_group_go() -> None:
    """Two slices hold at most 8127; digits leave Lava with 64 more.  A sum over d has two terms."""
    made = net("kgd", "kjd", "kgj")
    bound = written_reach(made, made.synapses[0])
    assert (bound.group, bound.weight, bound.row, bound.limit) == ("s -> t.a", 8191, 16382, 2**31)


def test_a_shard_writes_after_it_delivered() -> None:
    """Only the shard of the target writes, from payloads that it may have received."""
    made = net("d", "jd", "j")
    shard = Shard(made, [Cell(made.populations["t"], None, keep=False)])
    shard.deliver({"s": np.array([1, 1]), "v": np.array([7, -3]), "p": np.array([0, 1, 0])})
    assert shard.arriving["t", "a"].tolist() == [0, 0, 0]
    assert shard.contents[0].array.tolist() == [[0, 0], [7, -3], [0, 0]]
    shard.arriving = {}
    shard.deliver({"s": np.array([10, 1])})
    assert shard.arriving["t", "a"].tolist() == [0, 67, 0]
    other = Shard(made, [Cell(made.populations["v"], None, keep=False)])
    assert other.contents == []

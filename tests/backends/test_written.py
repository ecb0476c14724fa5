"""Written synapses by hand: what a step writes and carries, and what windows of tokens write."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from wiring import wire

from compiler.netlist.model import Population, Synapses, Written
from compiler.netlist.wiring import Wiring
from hwsim.backends.fast.written import Entries, write
from hwsim.backends.step.stepper import Content
from las_neuro.errors import BackendError

Axes = dict[str, int]


def content(
    form: Written, value: Axes, source: Axes, target: Axes, slots: int = 2
) -> tuple[Content, Population, Population]:
    """What a group holds at the start, and its ends."""
    ends = [Population(n, "product", a, {}, (1,), (1,)) for n, a in (("s", source), ("t", target))]
    writers = [
        Population(form.value, "product", value, {}, (0,), (0,)),
        Population(form.pointer, "pointer", {"j": slots} if slots > 1 else {}, {}, (0,), (0,)),
    ]
    group = Synapses("s", "t", "a", form)
    return Content.of(Wiring(wire([*writers, *ends], [group])), group), ends[0], ends[1]


def filled(axes: str, value: Axes, source: Axes, target: Axes, *rows: list[int]) -> Any:
    """A function from payloads of the source to sums of the target; a row for each slot."""
    form = Written(tuple(axes.split()), "v", "p", 99)
    held, one, other = content(form, value, source, target, len(rows))
    for slot, row in enumerate(rows):
        held.write(np.eye(len(rows), dtype=np.int64)[slot], np.array(row))
    return lambda *payload: held.carry(np.array(payload), one, other).tolist()


def test_nothing_is_written_at_the_start() -> None:
    held, one, other = content(Written(("j", "d"), "v", "p", 9), {"d": 2}, {"d": 2}, {"j": 2})
    assert held.array.dtype == np.int64
    assert held.array.tolist() == [[0, 0], [0, 0]]
    assert held.carry(np.array([5, -7]), one, other).tolist() == [0, 0]


def test_a_slot_takes_the_payloads_of_the_value() -> None:
    held, *_ = content(Written(("j", "d"), "v", "p", 9), {"d": 2}, {"d": 2}, {"j": 3}, 3)
    held.write(np.array([0, 1, 0]), np.array([4, -9]))
    assert held.array.tolist() == [[0, 0], [4, -9], [0, 0]]
    held.write(np.array([0, 0, 1]), np.array([1, 2]))
    assert held.array.tolist() == [[0, 0], [4, -9], [1, 2]]
    held.write(np.array([0, 1, 0]), np.array([0, 3]))
    assert held.array.tolist() == [[0, 0], [0, 3], [1, 2]]
    held.write(np.array([0, 0, 0]), np.array([8, 8]))
    assert held.array.tolist() == [[0, 0], [0, 3], [1, 2]]


def test_slots_lie_between_other_axes() -> None:
    form = Written(("k", "j", "d"), "v", "p", 9)
    held, *_ = content(form, {"k": 2, "d": 2}, {"k": 2, "d": 2}, {"k": 2, "j": 2})
    held.write(np.array([0, 1]), np.array([1, 2, 3, 4]))
    assert held.array.tolist() == [[[0, 0], [1, 2]], [[0, 0], [3, 4]]]


@pytest.mark.parametrize("payload", [10, -10])
def test_no_number_is_larger_than_the_limit(payload: int) -> None:
    held, *_ = content(Written(("j",), "v", "p", 9), {}, {}, {"j": 2})
    held.write(np.array([1, 0]), np.array([9]))
    held.write(np.array([0, 1]), np.array([-9]))
    with pytest.raises(BackendError, match=r"^s -> t\.a is to hold more than \+-9; help: this is"):
        held.write(np.array([1, 0]), np.array([payload]))
    assert held.array.tolist() == [9, -9]


def test_keys_are_summed_over_the_width_of_a_head() -> None:
    """Two heads k; 1 2 meets the keys 10 1 and -4 5, 3 0 meets 7 7 and 2 9."""
    keys = filled(
        "k j d", {"k": 2, "d": 2}, {"k": 2, "d": 2}, {"k": 2, "j": 2}, [10, 1, 7, 7], [-4, 5, 2, 9]
    )
    assert keys(1, 2, 3, 0) == [12, 6, 21, 6]
    assert keys(0, -1, 0, 0) == [-1, -5, 0, 0]


def test_queries_of_a_group_share_a_key_head() -> None:
    keys = filled("j d", {"d": 2}, {"g": 2, "d": 2}, {"g": 2, "j": 2}, [10, 1], [-4, 5])
    assert keys(1, 2, 3, 0) == [12, 6, 30, -12]
    turned = filled("j d", {"d": 2}, {"g": 2, "d": 2}, {"j": 2, "g": 2}, [10, 1], [-4, 5])
    assert turned(1, 2, 3, 0) == [12, 30, 6, -12]


def test_values_are_summed_over_slots() -> None:
    """Two queries g; weights 3 and 1, then 0 and 2, of the values 5 -2 and 4 6."""
    values = filled("j d", {"d": 2}, {"g": 2, "j": 2}, {"g": 2, "d": 2}, [5, -2], [4, 6])
    assert values(3, 1, 0, 2) == [19, 0, 8, 12]
    assert values(1, -1, 0, 0) == [1, -8, 0, 0]


def test_a_gate_opens_the_slots_in_use() -> None:
    """A source without axes, content by slot, copied along the axes k and g of neither."""
    gate = filled("j", {}, {}, {"k": 2, "g": 1, "j": 3}, [1], [1], [0])
    assert gate(1) == [1, 1, 0, 1, 1, 0]
    assert gate(0) == [0, 0, 0, 0, 0, 0]


def test_a_waiting_value_comes_back_slot_by_slot() -> None:
    wait = filled("j c", {"c": 2}, {"j": 2}, {"c": 2}, [5, -7], [9, 11])
    assert wait(1, 0) == [5, -7]
    assert wait(0, 1) == [9, 11]


def test_a_target_that_has_all_axes_of_the_source_gets_products() -> None:
    each = filled("j d", {"d": 2}, {"d": 2}, {"j": 2, "d": 2}, [5, -2], [4, 6])
    assert each(10, 1) == [50, -2, 40, 6]


FORM = Written(("j",), "v", "p", 99)


def ints(x: Any) -> torch.Tensor:
    return torch.tensor(x, dtype=torch.int32)


def ring(
    held: list[int] | None, values: list[int], pointer: list[list[int]]
) -> tuple[list[int], list[list[bool]], list[int]]:
    """A window of one sequence: entries, which of them each token sees, the slots after it."""
    before = None if held is None else ints([held])
    entries, after = write(FORM, before, ints([pointer]), ints([values]))
    assert entries.visible is not None
    assert entries.content.shape[0] == after.shape[0] == 1
    return entries.content[0].tolist(), entries.visible.tolist(), after[0].tolist()


def seen(*rows: str) -> list[list[bool]]:
    return [[mark == "x" for mark in row] for row in rows]


def test_a_token_sees_its_own_slot_and_those_before() -> None:
    found = ring(None, [10, 20, 30], [[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert found == ([10, 20, 30], seen("x..", "xx.", "xxx"), [10, 20, 30])


def test_a_full_ring_forgets_the_oldest() -> None:
    """Slots 2: the third token takes the first slot, whose entry it no longer sees."""
    found = ring(None, [10, 20, 30], [[1, 0], [0, 1], [1, 0]])
    assert found == ([10, 20, 30], seen("x..", "xx.", ".xx"), [30, 20])


def test_a_window_follows_a_full_ring() -> None:
    """Entries: the slots as they were, 30 and 20, then 40, 50, 60 that take slots 1, 0, 1."""
    found = ring([30, 20], [40, 50, 60], [[0, 1], [1, 0], [0, 1]])
    assert found == ([30, 20, 40, 50, 60], seen("x.x..", "..xx.", "...xx"), [50, 60])


def test_a_window_follows_a_ring_that_is_not_full() -> None:
    """Of 3 slots one is used; the third token of the window takes it."""
    found = ring([10], [20, 30, 40], [[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    assert found == ([10, 20, 30, 40], seen("xx..", "xxx.", ".xxx"), [40, 20, 30])
    found = ring([10], [20, 30], [[0, 1, 0], [0, 0, 1]])
    assert found == ([10, 20, 30], seen("xx.", "xxx"), [10, 20, 30])


def test_a_ring_of_one_slot() -> None:
    """Its pointer has no axis of slots."""
    entries, after = write(FORM, None, ints([[1, 1, 1]]), ints([[10, 20, 30]]))
    assert entries.content.tolist() == [[10, 20, 30]]
    assert entries.visible is not None
    assert entries.visible.tolist() == seen("x..", ".x.", "..x")
    assert after.tolist() == [[30]]
    entries, after = write(FORM, after, ints([[1, 1]]), ints([[40, 50]]))
    assert entries.content.tolist() == [[30, 40, 50]]
    assert entries.visible is not None
    assert entries.visible.tolist() == seen(".x.", "..x")
    assert after.tolist() == [[50]]


def test_a_zero_can_be_written() -> None:
    assert ring([5], [0], [[1]]) == ([5, 0], seen(".x"), [0])


def test_two_sequences_with_slots_between_other_axes() -> None:
    """Two tokens each; content [batch, k 2, slots, d 1].  A third token takes the first slot."""
    form = Written(("k", "j", "d"), "v", "p", 99)
    pointer = ints([[[1, 0], [0, 1]]] * 2)
    value = ints([1, 2, 3, 4, 5, 6, 7, 8]).reshape(2, 2, 2, 1)
    entries, held = write(form, None, pointer, value)
    whole = [[[[1], [3]], [[2], [4]]], [[[5], [7]], [[6], [8]]]]
    assert entries.content.tolist() == held.tolist() == whole
    third = ints([9, 10, 11, 12]).reshape(2, 1, 2, 1)
    entries, held = write(form, held, ints([[[1, 0]]] * 2), third)
    assert entries.content[0].tolist() == [[[1], [3], [9]], [[2], [4], [10]]]
    assert held.tolist() == [[[[9], [3]], [[10], [4]]], [[[11], [7]], [[12], [8]]]]


def test_what_is_only_read_is_seen_whole() -> None:
    held = ints([[30, 20]])
    assert Entries(held, None).by_slot(0, None, 2) is held


@pytest.mark.parametrize(
    ("pointer", "fault"),
    [
        ([[1, 1], [0, 1]], "a token does not write one slot"),
        ([[1, 0], [0, 0]], "a token does not write one slot"),
        ([[0, 0], [1, 1]], "a token does not write one slot"),
        ([[0, 0, 1], [1, 0, 0]], "slots are not filled in order"),
    ],
)
def test_a_token_writes_the_next_slot(pointer: list[list[int]], fault: str) -> None:
    with pytest.raises(ValueError, match=f"^{fault}$"):
        write(FORM, None, ints([pointer]), ints([[1, 1]]))

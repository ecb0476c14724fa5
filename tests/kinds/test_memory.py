"""memory: writing, reading and a ring that forgets, by hand."""

from typing import Any

import pytest

from compiler.netlist.kinds import KINDS, WindowOutcome
from compiler.netlist.trains import Graded, Recalled
from kinds.literal import LIBRARIES, Make, Stepped, step

PARAMS = {"limit": 99, "slot_axis": 0}
both = pytest.mark.parametrize("ints", LIBRARIES)


def test_a_step_writes_before_it_reads() -> None:
    held = {"content": [5, 6, 7]}
    after = step("memory", PARAMS, 0, held, write=[9, 9, 9], enable=[1, 0, -1], read=[2, -3, 1])
    assert after == Stepped({"content": [9, 6, 9]}, [18, -18, 9])


def test_what_was_never_written_is_silent() -> None:
    after = step("memory", PARAMS, 0, write=[9, 9], enable=[0, 1], read=[4, 4])
    assert after == Stepped({"content": [0, 9]}, [0, 36])


def test_a_zero_can_be_written() -> None:
    after = step("memory", PARAMS, 0, {"content": [5]}, write=[0], enable=[1], read=[1])
    assert after == Stepped({"content": [0]}, [0])


def ring(
    ints: Make,
    state: dict[str, Any],
    write: list[int] | None,
    enable: list[list[int]] | None,
    read: list[int] | None,
) -> WindowOutcome:
    """A window of a memory of slots alone, of one sequence."""
    run = KINDS["memory"].window
    assert run is not None
    arrivals: dict[str, Any] = {}
    if write is not None and enable is not None:
        arrivals["write"] = ints(write).reshape(1, -1, 1)
        flat = [flag for row in enable for flag in row]
        arrivals["enable"] = ints(flat).reshape(1, len(enable), -1)
    if read is not None:
        arrivals["read"] = Graded(ints(read).reshape(1, -1, 1))
    return run(state, arrivals, PARAMS)


def recalled(swept: WindowOutcome) -> Any:
    assert isinstance(swept.train, Recalled)
    assert (swept.train.limit, swept.train.slot_axis) == (99, 0)
    assert (swept.clamps, swept.wraps) == (0, 0)
    return swept.train.at(0, 1).tolist()


@both
def test_a_token_sees_its_own_slot_and_those_before(ints: Make) -> None:
    swept = ring(ints, {}, [10, 20, 30], [[1, 0, 0], [0, 1, 0], [0, 0, 1]], [1, 2, 3])
    assert recalled(swept) == [[[10, 0, 0], [20, 40, 0], [30, 60, 90]]]
    assert swept.state["content"].tolist() == [[10, 20, 30]]


@both
def test_a_full_ring_forgets_the_oldest(ints: Make) -> None:
    """Slots 2: the third token takes the first slot, whose entry it no longer sees."""
    swept = ring(ints, {}, [10, 20, 30], [[1, 0], [0, 1], [1, 0]], [1, 2, 3])
    assert recalled(swept) == [[[10, 0, 0], [20, 40, 0], [0, 60, 90]]]
    assert swept.state["content"].tolist() == [[30, 20]]


@both
def test_a_window_follows_a_full_ring(ints: Make) -> None:
    """Entries: the slots as they were, 30 and 20, then 40, 50, 60 that take slots 1, 0, 1."""
    state = {"content": ints([30, 20]).reshape(1, 2)}
    swept = ring(ints, state, [40, 50, 60], [[0, 1], [1, 0], [0, 1]], [1, 1, 1])
    assert recalled(swept) == [[[30, 0, 40, 0, 0], [0, 0, 40, 50, 0], [0, 0, 0, 50, 60]]]
    assert swept.state["content"].tolist() == [[50, 60]]


@both
def test_a_window_follows_a_ring_that_is_not_full(ints: Make) -> None:
    """Of 3 slots one is used; the third token of the window takes it."""
    state = {"content": ints([10]).reshape(1, 1)}
    swept = ring(ints, state, [20, 30, 40], [[0, 1, 0], [0, 0, 1], [1, 0, 0]], [1, 1, 1])
    assert recalled(swept) == [[[10, 20, 0, 0], [10, 20, 30, 0], [0, 20, 30, 40]]]
    assert swept.state["content"].tolist() == [[40, 20, 30]]
    swept = ring(ints, state, [20, 30], [[0, 1, 0], [0, 0, 1]], [1, 1])
    assert recalled(swept) == [[[10, 20, 0], [10, 20, 30]]]
    assert swept.state["content"].tolist() == [[10, 20, 30]]


@both
def test_a_ring_of_one_slot(ints: Make) -> None:
    swept = ring(ints, {}, [10, 20, 30], [[1], [1], [1]], [1, 1, 1])
    assert recalled(swept) == [[[10, 0, 0], [0, 20, 0], [0, 0, 30]]]
    assert swept.state["content"].tolist() == [[30]]


@both
def test_what_is_only_read_is_seen_whole(ints: Make) -> None:
    state = {"content": ints([30, 20]).reshape(1, 2)}
    swept = ring(ints, state, None, None, [2, -1])
    assert recalled(swept) == [[[60, 40], [-30, -20]]]
    assert isinstance(swept.train, Recalled)
    assert swept.train.visible is None
    assert swept.state["content"].tolist() == [[30, 20]]


@both
def test_what_is_only_written_sends_nothing(ints: Make) -> None:
    swept = ring(ints, {}, [10, 20], [[1, 0], [0, 1]], None)
    assert swept.train is None
    assert swept.state["content"].tolist() == [[10, 20]]


@both
def test_the_slots_may_lie_between_other_axes(ints: Make) -> None:
    """Two sequences of two tokens; axes k 2, slots, d 1.  Content [batch, k, slots, d]."""
    run = KINDS["memory"].window
    assert run is not None
    params = {"limit": 99, "slot_axis": 1}
    arrivals = {
        "write": ints([1, 2, 3, 4, 5, 6, 7, 8]).reshape(2, 2, 2, 1, 1),
        "enable": ints([1, 0, 0, 1] * 2).reshape(2, 2, 1, 2, 1),
        "read": Graded(ints([1, 1, 1, 10]).reshape(2, 2, 1, 1, 1)),
    }
    swept = run({}, arrivals, params)
    assert swept.state["content"].tolist() == [[[[1], [3]], [[2], [4]]], [[[5], [7]], [[6], [8]]]]
    assert isinstance(swept.train, Recalled)
    assert swept.train.at(0, 1).reshape(2, 2, 2, 2).tolist() == [
        [[[1, 0], [2, 0]], [[1, 3], [2, 4]]],
        [[[5, 0], [6, 0]], [[50, 70], [60, 80]]],
    ]
    later = {
        "write": ints([9, 10, 11, 12]).reshape(2, 1, 2, 1, 1),
        "enable": ints([1, 0] * 2).reshape(2, 1, 1, 2, 1),
    }
    again = run(swept.state, later, params)
    assert again.train is None
    assert again.state["content"].tolist() == [
        [[[9], [3]], [[10], [4]]],
        [[[11], [7]], [[12], [8]]],
    ]


@both
@pytest.mark.parametrize(
    ("enable", "fault"),
    [
        ([[1, 1], [0, 1]], "a token does not write one slot"),
        ([[1, 0], [0, 0]], "a token does not write one slot"),
        ([[0, 0], [1, 1]], "a token does not write one slot"),
        ([[0, 0, 1], [1, 0, 0]], "slots are not filled in order"),
    ],
)
def test_a_token_writes_the_next_slot(ints: Make, enable: list[list[int]], fault: str) -> None:
    with pytest.raises(ValueError, match=f"^{fault}$"):
        ring(ints, {}, [1, 1], enable, None)

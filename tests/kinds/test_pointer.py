"""pointer: a ring that comes round, by hand."""

from typing import Any

import numpy as np
import pytest

from compiler.netlist.kinds import KINDS
from compiler.netlist.trains import Graded
from kinds.literal import LIBRARIES, Make, plain


def swept(ints: Make, slots: int, tokens: int, state: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """What two sequences send, and the state."""
    run = KINDS["pointer"].window
    assert run is not None
    answer = run(state, {"tokens": ints([0] * 2 * tokens).reshape(2, tokens)}, {"slots": slots})
    assert isinstance(answer.train, Graded)
    plain(answer.train.value)
    assert (answer.clamps, answer.wraps) == (0, 0)
    return answer.train.value.tolist(), answer.state


def test_steps_go_round_the_ring() -> None:
    state: dict[str, Any] = {}
    sent = []
    for _ in range(7):
        outcome = KINDS["pointer"].step(state, {}, {"slots": 3}, 0)
        state = outcome.state
        sent.append(plain(outcome.payload))
        assert plain(state["count"]) == [len(sent) % 3] * 3
    assert sent == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]


def test_the_count_comes_back_to_zero() -> None:
    for before, after in ((0, 1), (1, 2), (2, 0)):
        outcome = KINDS["pointer"].step({"count": np.array([before] * 3)}, {}, {"slots": 3}, 0)
        assert plain(outcome.state["count"]) == [after] * 3


@pytest.mark.parametrize("ints", LIBRARIES)
def test_windows_show_the_slots_used_so_far(ints: Make) -> None:
    value, state = swept(ints, 3, 2, {})
    assert value == [[[1, 0], [0, 1]]] * 2
    assert state == {"count": 2}
    value, state = swept(ints, 3, 1, state)
    assert value == [[[0, 0, 1]]] * 2
    assert state == {"count": 3}
    value, state = swept(ints, 3, 4, state)
    assert value == [[[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]] * 2
    assert state == {"count": 7}
    value, state = swept(ints, 3, 1, state)
    assert value == [[[0, 1, 0]]] * 2


@pytest.mark.parametrize("ints", LIBRARIES)
def test_a_window_may_go_round_more_than_once(ints: Make) -> None:
    value, state = swept(ints, 2, 5, {})
    assert value == [[[1, 0], [0, 1], [1, 0], [0, 1], [1, 0]]] * 2
    assert state == {"count": 5}


@pytest.mark.parametrize("ints", LIBRARIES)
def test_a_ring_of_one_is_a_clock(ints: Make) -> None:
    assert swept(ints, 1, 3, {}) == ([[1, 1, 1]] * 2, {})

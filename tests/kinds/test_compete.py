"""compete: bits offered, rivals beaten, and the loop in closed form, by hand."""

import pytest

from compiler.netlist.kinds import KINDS
from kinds.literal import LIBRARIES, Make, Stepped, payloads, step

THREE = {"bits": 3, "drop": 0}


def test_a_contest_step_by_step() -> None:
    """5, 3 and 0: the top bit beats 3; 0 never competes; the last bit beats nobody."""
    first = step("compete", THREE, 0, x=[5, 3, 0], veto=[0, 0, 0])
    assert first == Stepped({"value": [5, 3, 0], "alive": [1, 1, 0], "offer": [1, 0, 0]}, [1, 0, 0])
    second = step("compete", THREE, 1, first.state, x=[0, 0, 0], veto=[1, 1, 1])
    assert second == Stepped(
        {"value": [5, 3, 0], "alive": [1, 0, 0], "offer": [0, 0, 0]}, [0, 0, 0]
    )
    third = step("compete", THREE, 2, second.state, x=[0, 0, 0], veto=[0, 0, 0])
    assert third == Stepped({"value": [5, 3, 0], "alive": [1, 0, 0], "offer": [1, 0, 0]}, [1, 0, 0])
    assert step("compete", THREE, 3, third.state, x=[0, 0, 0], veto=[1, 1, 1]) == Stepped(
        {}, [0, 0, 0]
    )


def test_a_verdict_of_several_spikes_beats_too() -> None:
    held = {"value": [3, 7], "alive": [1, 1], "offer": [0, 1]}
    beaten = step("compete", THREE, 1, held, x=[0, 0], veto=[2, 2])
    assert beaten.state["alive"] == [0, 1]
    assert beaten.payload == [0, 1]


def test_the_first_step_takes_no_verdict_and_the_others_no_value() -> None:
    assert step("compete", THREE, 0, x=[3], veto=[1]).state["alive"] == [1]
    held = {"value": [3], "alive": [1], "offer": [0]}
    assert step("compete", THREE, 1, held, x=[9], veto=[0]).state["value"] == [3]


def test_dropped_bits_do_not_compete() -> None:
    assert step("compete", {"bits": 2, "drop": 1}, 0, x=[7, 6, 1, 2], veto=[0] * 4) == Stepped(
        {"value": [3, 3, 0, 1], "alive": [1, 1, 0, 1], "offer": [1, 1, 0, 0]}, [1, 1, 0, 0]
    )


@pytest.mark.parametrize("ints", LIBRARIES)
@pytest.mark.parametrize(
    ("x", "params", "outer", "inner"),
    [
        (
            [5, 3, 0, 5, 4],
            THREE,
            [[1, 0, 0, 1, 1], [0, 0, 0, 0, 0], [1, 0, 0, 1, 0]],
            [[1], [0], [1]],
        ),
        ([7, 6, 5, 1], {"bits": 2, "drop": 1}, [[1, 1, 1, 0], [1, 1, 0, 0]], [[1], [1]]),
        ([0, 0], {"bits": 1, "drop": 0}, [[0, 0]], [[0]]),
    ],
)
def test_the_loop_in_closed_form(
    ints: Make,
    x: list[int],
    params: dict[str, int],
    outer: list[list[int]],
    inner: list[list[int]],
) -> None:
    """A loser offers its bits down to the one that beats it."""
    close = KINDS["compete"].loop
    assert close is not None
    loop = close(ints(x).reshape(1, 1, -1), params, lambda v: ints([int(v.max())]).reshape(1, 1, 1))
    assert payloads(loop.outer) == outer
    assert payloads(loop.inner) == inner

"""segment: lines, their joints and what lies outside, by hand."""

from typing import Any

from kinds.literal import reply

THREE: dict[str, Any] = {
    "origin": -4,
    "width": 2,
    "shift": 1,
    "base": [0, 10, 20],
    "slope": [1, 3, -1],
}


def test_a_line_begins_at_its_left_end() -> None:
    """Halves go up: 1.5 to 2, 4.5 to 5, -1.5 to -1."""
    assert reply("segment", THREE, x=[-4, -1, 0, 1, 3, 4, 5, 7]) == (
        [0, 2, 10, 12, 15, 20, 20, 19],
        0,
    )


def test_the_outer_lines_go_on() -> None:
    assert reply("segment", THREE, x=[-5, -6, -100, 8, 9, 100]) == ([0, -1, -48, 18, 18, -28], 0)


def test_lines_of_one_unit() -> None:
    params = {"origin": 7, "width": 0, "shift": 0, "base": [1, 2, 4], "slope": [9, 9, 9]}
    assert reply("segment", params, x=[6, 7, 8, 9, 10]) == ([-8, 1, 2, 4, 13], 0)


def test_the_answer_is_held_to_a_word() -> None:
    params = {"origin": 0, "width": 0, "shift": 0, "base": [8388607], "slope": [1]}
    assert reply("segment", params, x=[-1, 0, 1]) == ([8388606, 8388607, 8388607], 1)
    params["base"] = [-8388607]
    assert reply("segment", params, x=[1, 0, -1, -2]) == (
        [-8388606, -8388607, -8388607, -8388607],
        2,
    )

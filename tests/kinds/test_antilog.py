"""antilog: octaves, lines, silence and late arrivals, by hand."""

from typing import Any

from kinds.literal import Sent, Stepped, reply, step, steps

QUARTERS: dict[str, Any] = {
    "fraction_bits": 2,
    "lines_log2": 1,
    "shift": 1,
    "arrivals": 1,
    "base": [1024, 700],
    "slope": [101, 60],
}


def below(z: list[int], **changes: Any) -> tuple[list[int], int]:
    """What is sent for values z quarters of an octave below their reference."""
    x = [1000 - one for one in z]
    return reply("antilog", {**QUARTERS, **changes}, x=x, reference=[1000] * len(z))


def test_the_fraction_picks_a_line() -> None:
    """A quarter down the first line falls by 50.5, rounded to 51."""
    assert below([0, 1, 2, 3]) == ([1024, 973, 700, 670], 0)


def test_whole_octaves_halve() -> None:
    """973 / 2 is 486.5, half of 1 is 0.5: halves go up."""
    assert below([4, 5, 6, 8, 40, 44, 48, 123, 124, 999]) == (
        [512, 487, 350, 256, 1, 1, 0, 0, 0, 0],
        0,
    )


def test_four_lines_of_eighths() -> None:
    params = {"fraction_bits": 3, "lines_log2": 2, "shift": 0}
    params |= {"base": [800, 700, 600, 500], "slope": [10, 20, 30, 40]}
    assert below([0, 1, 2, 3, 4, 5, 6, 7, 8], **params) == (
        [800, 790, 700, 680, 600, 570, 500, 460, 400],
        0,
    )


def test_above_the_reference_is_a_clamp() -> None:
    assert reply("antilog", QUARTERS, x=[20, 21, 99], reference=[20, 20, 20]) == (
        [1024, 1024, 1024],
        2,
    )


def test_where_nothing_came_nothing_is_sent() -> None:
    assert reply("antilog", QUARTERS, x=[0, 0, 1, -1], reference=[0, 5, 1, -5]) == (
        [0, 0, 1024, 0],
        0,
    )


def test_value_and_reference_may_come_apart() -> None:
    two = {**QUARTERS, "arrivals": 2}
    apart = [{"x": [16], "reference": [0]}, {"x": [0], "reference": [20]}]
    assert steps("antilog", two, *apart) == Sent([[0], [512]])
    apart = [{"x": [0], "reference": [20]}, {"x": [16], "reference": [0]}]
    assert steps("antilog", two, *apart) == Sent([[0], [512]])


def test_what_a_step_keeps() -> None:
    three = {**QUARTERS, "arrivals": 3}
    first = step("antilog", three, 0, x=[10], reference=[5])
    assert first == Stepped({"x": [10], "reference": [5]}, [0])
    second = step("antilog", three, 1, first.state, x=[11], reference=[15])
    assert second == Stepped({"x": [21], "reference": [20]}, [0])
    assert step("antilog", three, 2, second.state, x=[0], reference=[0]) == Stepped(
        {}, [1024], clamps=1
    )

"""Sums through written synapses in the fast engine, by hand: entries, products, rounding."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from compiler.netlist.model import Population, Written
from compiler.netlist.trains import Digits, Graded, Train
from hwsim.backends.fast.written import Entries, ProductAxes, by_slot, passed_on, totals


def ints(*x: int, shape: tuple[int, ...]) -> Any:
    return torch.tensor(x, dtype=torch.int32).reshape(shape)


@pytest.mark.parametrize(
    ("x", "start", "tokens", "slots"),
    [
        ([5, 6, 7], 0, 3, [5, 6, 7]),  # as many entries as slots
        ([5, 6], 0, 2, [5, 6, 0]),  # the last slot is not used yet
        ([5], 0, 1, [5, 0, 0]),
        ([5, 6, 7, 8], 2, 2, [13, 6, 7]),  # the second token takes the first slot
        ([5, 6, 7, 8, 9], 4, 2, [5, 14, 16]),  # a full ring; tokens 4 and 5 take slots 1 and 2
        ([1, 2, 3, 4, 5], 0, 5, [5, 7, 3]),
    ],
)
def test_entries_in_their_slots(x: list[int], start: int, tokens: int, slots: list[int]) -> None:
    assert by_slot(torch.tensor(x), 0, 3, start, tokens).tolist() == slots


def test_entries_along_another_axis() -> None:
    x = ints(1, 2, 3, 4, shape=(2, 2))
    assert by_slot(x, 1, 3, 0, 2).tolist() == [[1, 2, 0], [3, 4, 0]]
    assert by_slot(x, 1, 1, 0, 2).tolist() == [[3], [7]]
    assert by_slot(x, 0, 3, 0, 2).tolist() == [[1, 2], [3, 4], [0, 0]]


def ends(source: str, target: str, sizes: dict[str, int]) -> tuple[Population, Population]:
    """Two populations with axes of one letter each."""
    one, other = (
        Population(name, "product", {axis: sizes[axis] for axis in axes}, {})
        for name, axes in (("s", source), ("t", target))
    )
    return one, other


SIZES = {"k": 5, "g": 2, "j": 2, "d": 2}


def through(
    train: Train,
    content: Any,
    axes: tuple[str, str, str],
    segments: list[tuple[int, int]],
    shift: tuple[int, ...],
    visible: Any = None,
    *,
    alone: bool,
    limit: int = 10,
) -> list[Any]:
    """Sums of each segment; axes: of source, content and target, all of size 2."""
    source, target = ends(axes[0], axes[2], SIZES)
    form = Written(tuple(axes[1]), "v", "p", limit)
    layout = ProductAxes.of(source, target, form)
    assert layout is not None
    entries = Entries(content, visible)
    return totals(train, entries, layout, form, target, segments, shift, alone=alone)


def test_a_layout() -> None:
    """Of keys that two query heads share, and of values of five key heads."""
    form = Written(("j", "d"), "v", "p", 9)
    keys = ProductAxes.of(*ends("gd", "gj", SIZES), form)
    assert keys == ProductAxes(("g", "d"), ("j", "d"), "d", ("j",), ("g",))
    assert keys.matrix(ints(10, 1, -4, 5, shape=(1, 2, 2))).tolist() == [[[[10, -4], [1, 5]]]]
    values = ProductAxes.of(*ends("gkj", "kgd", SIZES), Written(("k", "j", "d"), "v", "p", 9))
    assert values == ProductAxes(("g", "k", "j"), ("k", "j", "d"), "j", ("d",), ("k", "g"))
    content = ints(*range(30), shape=(1, 5, 2, 3))
    assert values.matrix(content).tolist() == content.tolist()
    assert ProductAxes.of(*ends("d", "jd", SIZES), form) is None


KEYS = ints(10, 1, -4, 5, shape=(1, 2, 2))
TWO_HEADS = ("gd", "jd", "gj")


def queries(**changes: Any) -> Digits:
    """Queries of two heads g with d 2 meet keys of two slots j that both heads share.

    Token 0 asks 1 2 and 3 0; token 1 asks 0 -1 and 2 2.  Keys: 10 1, and -4 5.
    """
    magnitude = ints(1, 2, 3, 0, 0, 1, 2, 2, shape=(1, 2, 2, 2))
    sign = ints(1, 1, 1, 1, 1, -1, 1, 1, shape=(1, 2, 2, 2))
    return Digits(magnitude, sign, (0, 1), **changes)


SCORES = [[[12, 6], [30, -12]], [[-1, -5], [22, 2]]]


@pytest.mark.parametrize("alone", [True, False])
def test_sums_over_one_axis(alone: bool) -> None:
    """Whole digits in one segment; [tokens, g, j]."""
    (found,) = through(queries(), KEYS, TWO_HEADS, [(0, 2)], (0, 1), alone=alone)
    assert found.dtype == torch.int32
    assert found.tolist() == [SCORES]


def test_the_target_may_have_other_axes_first() -> None:
    (found,) = through(queries(), KEYS, ("gd", "jd", "jg"), [(0, 2)], (0, 1), alone=True)
    assert found.tolist() == [[[[12, 30], [6, -12]], [[-1, 22], [-5, 2]]]]


def test_sums_of_each_segment() -> None:
    """Digit 0 of token 0 asks 1 0 and 1 0, digit 1 counts 0 1 and 1 0."""
    first, second = through(queries(), KEYS, TWO_HEADS, [(0, 1), (1, 2)], (0, 0), alone=False)
    assert first.tolist() == [[[[10, -4], [10, -4]], [[-1, -5], [0, 0]]]]
    assert second.tolist() == [[[[1, 5], [10, -4]], [[0, 0], [11, 1]]]]


def test_all_segments_at_once_round_the_whole_sum() -> None:
    """Alone and with a cut by 1 before the second: half of each sum, halves up."""
    digits = queries(largest_payload=1)
    first, second = through(digits, KEYS, TWO_HEADS, [(0, 1), (1, 2)], (0, 0), alone=True)
    assert first.ndim == 0
    assert int(first) == 0
    assert second.dtype == torch.int32
    assert second.tolist() == [[[[6, 3], [15, -6]], [[0, -2], [11, 1]]]]


def test_what_a_token_does_not_see_is_silent() -> None:
    visible = torch.tensor([[True, False], [True, True]])
    (found,) = through(queries(), KEYS, TWO_HEADS, [(0, 2)], (0, 1), visible, alone=True)
    assert found.tolist() == [[[[12, 0], [30, 0]], SCORES[1]]]


def test_signed_digits_that_read() -> None:
    """3 as 4 - 1, read at once and digit by digit; content [j 2, d 1]."""
    digits = Digits(ints(4, shape=(1, 1, 1)), None, (0, 1, 2), minus=ints(1, shape=(1, 1, 1)))
    content, axes = ints(10, -4, shape=(1, 2, 1)), ("d", "jd", "j")
    (whole,) = through(digits, content, axes, [(0, 3)], (0, 1, 2), alone=True)
    assert whole.tolist() == [[[30, -12]]]
    parts = through(digits, content, axes, [(0, 1), (1, 3)], (0, 0, 1), alone=True)
    assert parts[1].tolist() == [[[15, -6]]]
    parts = through(digits, content, axes, [(0, 1), (1, 3)], (0, 0, 1), alone=False)
    assert [part.tolist() for part in parts] == [[[[-10, 4]]], [[[20, -8]]]]


def test_weights_that_reach_values() -> None:
    """Weights of two slots, 3 and 1, read values 5 and -2; what reads is silent where not seen."""
    content = ints(5, -2, shape=(1, 2, 1))
    seen = ints(3, 0, 3, 1, shape=(1, 2, 2))
    for digits in (
        Graded(seen),
        Digits(seen, ints(1, 1, 1, 1, shape=(1, 2, 2)), (0, 1)),
        Digits(seen, None, (0, 1)),
        Digits(
            ints(4, 0, 4, 1, shape=(1, 2, 2)),
            None,
            (0, 1, 2),
            minus=ints(1, 0, 1, 0, shape=(1, 2, 2)),
        ),
    ):
        steps = (0, 1) if isinstance(digits, Graded) else (0, len(digits.positions))
        (found,) = through(
            digits, content, ("j", "jd", "d"), [steps], tuple(range(steps[1])), alone=True
        )
        assert found.tolist() == [[[15], [13]]]


def test_a_sum_too_long_for_32_bits_is_exact() -> None:
    """2**23 - 1 times 2**23 - 1, and one more."""
    digits = Graded(ints(8388607, 1, shape=(1, 1, 2)).long())
    content = ints(8388607, 1, shape=(1, 2, 1))
    (found,) = through(digits, content, ("j", "jd", "d"), [(0, 1)], (0,), alone=True, limit=8388607)
    assert found.dtype == torch.int64
    assert found.tolist() == [[[70368727400450]]]


def test_a_pointer_reads_what_waits() -> None:
    """Two sequences and two tokens, each reads one slot of c 2; the digit is graded."""
    content = ints(5, -7, 9, 11, 1, 2, 3, 4, shape=(2, 2, 2))
    turn = Graded(torch.eye(2, dtype=torch.int32).reshape(1, 2, 2).expand(2, 2, 2))
    (found,) = through(turn, content, ("j", "jd", "d"), [(0, 1)], (0,), alone=True)
    assert found.tolist() == [[[5, -7], [9, 11]], [[1, 2], [3, 4]]]


def test_products_where_nothing_is_summed() -> None:
    """A spike of 3, then silence, meets flags 1 and 1, which the first token sees one of.

    Size 1 along the axis k of neither.
    """
    clock = Graded(ints(3, 0, shape=(1, 2)))
    form = Written(("j",), "v", "p", 1)
    flags = Entries(ints(1, 1, shape=(1, 2)), torch.tensor([[True, False], [True, True]]))
    found = passed_on(clock, flags, form, ends("", "kj", SIZES), (0, 1), (0,))
    assert found.tolist() == [[[[3, 0]], [[0, 0]]]]
    found = passed_on(clock, flags, form, ends("", "kj", SIZES), (0, 1), (2,))
    assert found.tolist() == [[[[12, 0]], [[0, 0]]]]
    found = passed_on(
        clock, Entries(flags.content, None), form, ends("", "jk", SIZES), (0, 1), (0,)
    )
    assert found.tolist() == [[[[3], [3]], [[0], [0]]]]

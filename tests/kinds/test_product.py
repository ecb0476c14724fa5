"""product: rounding, saturation and late factors, by hand."""

import pytest
import torch

from compiler.netlist.kinds import KINDS
from compiler.netlist.trains import Graded
from kinds.literal import Sent, Stepped, reply, step, steps


def test_the_product_is_rounded_to_nearest_and_halves_go_up() -> None:
    a, b = [3, -3, 1, -1, 5, 0], [1, 1, 1, 1, -2, 9]
    assert reply("product", {"shift": 1, "arrivals": 1}, a=a, b=b) == ([2, -1, 1, 0, -5, 0], 0)


def test_the_product_is_held_to_a_word() -> None:
    a = [8388607, 8388607, -8388607, 4096, -4096, -8388607]
    b = [1, 2, 2, 2048, 2048, 1]
    assert reply("product", {"shift": 0, "arrivals": 1}, a=a, b=b) == (
        [8388607, 8388607, -8388607, 8388607, -8388607, -8388607],
        4,
    )


def test_the_product_of_two_words_is_exact() -> None:
    """(2**23 - 1)**2 / 2**23 is 2**23 - 2 and a little."""
    a, b = [8388607, 8388607], [8388607, -8388607]
    assert reply("product", {"shift": 23, "arrivals": 1}, a=a, b=b) == ([8388606, -8388606], 0)


def test_factors_of_32_bits_do_not_overflow() -> None:
    run = KINDS["product"].window
    assert run is not None
    narrow = torch.tensor([[[8388607]]], dtype=torch.int32)
    train = run({}, {"a": narrow, "b": narrow}, {"shift": 23, "arrivals": 1}).train
    assert isinstance(train, Graded)
    assert train.value.tolist() == [[[8388606]]]


@pytest.mark.parametrize(
    ("a", "b"), [([6, 0], [0, 7]), ([0, 6], [7, 0]), ([6, 0], [7, 0]), ([2, 4], [3, 4])]
)
def test_a_factor_waits_for_the_other(a: list[int], b: list[int]) -> None:
    came = [{"a": [x], "b": [y]} for x, y in zip(a, b, strict=True)]
    assert steps("product", {"shift": 0, "arrivals": 2}, *came) == Sent([[0], [42]])


def test_what_a_step_keeps() -> None:
    params = {"shift": 0, "arrivals": 3}
    first = step("product", params, 0, a=[5], b=[-2])
    assert first == Stepped({"a": [5], "b": [-2]}, [0])
    second = step("product", params, 1, first.state, a=[1], b=[-1])
    assert second == Stepped({"a": [6], "b": [-3]}, [0])
    assert step("product", params, 2, second.state, a=[0], b=[0]) == Stepped({}, [-18])

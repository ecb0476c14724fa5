"""octave: octaves, lines, roots and limits, by hand."""

from typing import Any

import torch

from compiler.netlist.kinds import KINDS
from compiler.netlist.trains import Graded
from kinds.literal import reply

ONE: dict[str, Any] = {
    "root": 0,
    "lines_log2": 0,
    "exponent": 0,
    "shift": 23,
    "base": [1024],
    "slope": [-512],
}


def test_an_octave_higher_is_half_as_much() -> None:
    """At 3 the line stands at 768, at 7 at 640; 640 / 4 is 160."""
    x = [1, 2, 3, 4, 7, 1024, 2047, 2048, 2049, 3072, 4096]
    assert reply("octave", ONE, x=x) == ([1024, 512, 384, 256, 160, 1, 1, 1, 1, 0, 0], 0)


def test_below_one_is_one_and_a_clamp() -> None:
    assert reply("octave", ONE, x=[1, 0, -1, -8388607]) == ([1024] * 4, 3)


def test_the_exponent_moves_the_point() -> None:
    assert reply("octave", {**ONE, "exponent": 3}, x=[1, 3, 8, 16, 12]) == (
        [8192, 3072, 1024, 512, 768],
        0,
    )
    assert reply("octave", {**ONE, "exponent": -3}, x=[1, 2, 3]) == ([128, 64, 48], 0)


def test_the_answer_is_held_to_a_word() -> None:
    flat = {**ONE, "slope": [0], "exponent": 13}
    assert reply("octave", {**flat, "base": [1023]}, x=[1, 2]) == ([8380416, 4190208], 0)
    assert reply("octave", {**flat, "base": [1024]}, x=[1, 2]) == ([8388607, 4194304], 1)
    assert reply("octave", {**flat, "base": [-1024]}, x=[1, 2]) == ([-8388607, -4194304], 1)


def test_far_exponents() -> None:
    flat = {**ONE, "slope": [0], "base": [1]}
    assert reply("octave", {**flat, "exponent": 22}, x=[1]) == ([4194304], 0)
    assert reply("octave", {**flat, "exponent": 23}, x=[1]) == ([8388607], 1)
    assert reply("octave", {**flat, "exponent": 63}, x=[1]) == ([8388607], 1)
    high = {**flat, "base": [8388607]}
    assert reply("octave", {**high, "exponent": -22}, x=[1]) == ([2], 0)
    assert reply("octave", {**high, "exponent": -23}, x=[1]) == ([1], 0)
    assert reply("octave", {**high, "exponent": -24}, x=[1, 8388607]) == ([0, 0], 0)
    assert reply("octave", {**high, "exponent": -64}, x=[1, 8388607]) == ([0, 0], 0)


def test_lines_share_an_octave() -> None:
    """4 and 5 are on the first line, 6 and 7 on the second; at 5 and 7 half a line is behind."""
    two = {"root": 0, "lines_log2": 1, "exponent": 2, "shift": 22}
    two |= {"base": [100, 200], "slope": [4, 9]}
    assert reply("octave", two, x=[4, 5, 6, 7]) == ([100, 102, 200, 205], 0)


def test_the_root_takes_other_lines_in_odd_octaves() -> None:
    root = {"root": 1, "lines_log2": 0, "exponent": 0, "shift": 0}
    root |= {"base": [100, 200], "slope": [0, 0]}
    assert reply("octave", root, x=[1, 2, 4, 8, 16]) == ([100, 200, 50, 100, 25], 0)
    root |= {"lines_log2": 1, "base": [100, 101, 202, 203], "slope": [0] * 4}
    assert reply("octave", root, x=[1, 2, 3, 4, 6, 8, 12]) == (
        [100, 202, 203, 50, 51, 101, 102],
        0,
    )


def test_the_largest_word() -> None:
    """22 octaves up, two parts of 4194304 before the end of the second line: -4 and a little."""
    two = {"root": 0, "lines_log2": 1, "exponent": 22, "shift": 22}
    two |= {"base": [0, 1000], "slope": [0, -4]}
    assert reply("octave", two, x=[8388607]) == ([996], 0)


def test_words_of_32_bits_do_not_overflow() -> None:
    run = KINDS["octave"].window
    assert run is not None
    params = {**ONE, "exponent": 22, "base": torch.tensor([1024]), "slope": torch.tensor([-512])}
    train = run({}, {"x": torch.tensor([[[8388607]]], dtype=torch.int32)}, params).train
    assert isinstance(train, Graded)
    assert train.value.tolist() == [[[512]]]

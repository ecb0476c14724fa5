"""Every state word of a compartment is declared, with the bits that a run holds it to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from compiler.netlist.kinds import KINDS, Outcome, Word
from compiler.netlist.model import Population
from hwsim.backends.step.stepper import hold_to_width
from las_neuro.errors import BackendError

WORDS = [(name, word) for name, kind in KINDS.items() for word in kind.state]
STATE_BITS = {
    "any": 24,
    "antilog": 48,
    "compete": 26,
    "encode": 33,
    "few_spikes": 53,
    "fire": 50,
    "input": 0,
    "integrate": 24,
    "leak": 24,
    "octave": 24,
    "pointer": 16,
    "product": 48,
    "segment": 24,
}


def population(kind: str, n: int = 2, **params: Any) -> Population:
    return Population("unit", kind, {"n": n}, params)


def outcome(**state: int) -> Outcome:
    words = {word: np.array([0, value]) for word, value in state.items()}
    return Outcome(words, np.zeros(2, np.int64))


@pytest.mark.parametrize(
    ("word", "least", "most"),
    [
        (Word(24), -8388608, 8388607),
        (Word(16, signed=False), 0, 65535),
        (Word(9), -256, 255),
        (Word(2), -2, 1),
        (Word(1, signed=False), 0, 1),
    ],
)
def test_a_word_s_range(word: Word, least: int, most: int) -> None:
    assert word.range == (least, most)


@pytest.mark.parametrize(("kind", "word"), WORDS)
def test_a_word_holds_its_range_and_no_more(kind: str, word: str) -> None:
    least, most = KINDS[kind].state[word].range
    one = population(kind)
    for value in (least, most):
        hold_to_width(one, outcome(**{word: value}))
    for value in (least - 1, most + 1):
        with pytest.raises(BackendError, match=f"unit's {word} is int64"):
            hold_to_width(one, outcome(**{word: value}))


def test_a_float_is_no_word() -> None:
    state = {"u": np.zeros(2)}
    with pytest.raises(BackendError, match="unit's u is float64"):
        hold_to_width(population("integrate"), Outcome(state, np.zeros(2, np.int64)))


def test_a_word_that_is_not_declared_is_refused() -> None:
    with pytest.raises(BackendError, match="unit keeps extra, which encode does not declare"):
        hold_to_width(population("encode"), outcome(rest=1, extra=1))


def test_what_only_a_simulator_counts_has_no_width() -> None:
    hold_to_width(population("integrate"), outcome(u=1, turns=1 << 40))
    with pytest.raises(BackendError, match="turns"):
        hold_to_width(population("encode"), outcome(turns=0))


def test_a_pointer_reaches_its_last_slot() -> None:
    slots = 65535
    ring = population("pointer", slots, slots=slots)
    for before, after in ((32767, 32768), (65533, 65534), (65534, 0)):
        made = KINDS["pointer"].step({"count": np.full(slots, before)}, {}, ring.params, 0)
        hold_to_width(ring, made)
        assert set(made.state["count"].tolist()) == {after}
        assert np.flatnonzero(made.payload).tolist() == [before]


@pytest.mark.parametrize("kind", ["encode", "fire"])
def test_a_value_that_waits_is_a_whole_word(kind: str) -> None:
    one = population(kind, early=1)
    for value in (824_862, 8388607, -8388608):
        x = np.array([0, value])
        made = KINDS[kind].step({}, {"x": x}, one.params, 0)
        assert made.state["x"].tolist() == [0, value]
        hold_to_width(one, made)
    for value in (8388608, -8388609):
        made = KINDS[kind].step({}, {"x": np.array([0, value])}, one.params, 0)
        with pytest.raises(BackendError, match="unit's x"):
            hold_to_width(one, made)


def test_a_gated_sum_has_one_bit_more() -> None:
    p = {"shift": (0, 0), "cut": (0, 0), "gated": 1}
    one = population("integrate", **p)
    inputs = {"a": np.array([5, 5]), "enable": np.array([0, 1])}
    made = KINDS["integrate"].step({}, inputs, one.params, 0)
    assert made.state["enabled"].tolist() == [0, 1]
    hold_to_width(one, made)
    again = KINDS["integrate"].step(made.state, inputs, {**p, "shift": (0, 0, 0)}, 1)
    with pytest.raises(BackendError, match="unit's enabled"):
        hold_to_width(one, again)


def test_the_bits_of_a_compartment() -> None:
    """Words that share storage, or that few populations have, are not counted again."""
    assert {name: kind.state_bits for name, kind in KINDS.items()} == STATE_BITS


def test_words_share_storage_that_is_wide_enough() -> None:
    shared = {(k, w): one.shares for k, w, one in words() if one.shares}
    assert shared == {("encode", "x"): "rest", ("fire", "x"): "value"}
    for kind, word in shared:
        state = KINDS[kind].state
        assert state[word].bits <= state[state[word].shares].bits
        assert not state[state[word].shares].shares
    only = {(k, w): one.only for k, w, one in words() if one.only}
    assert only == {("integrate", "enabled"): "gated"}
    assert all(parameter in KINDS[kind].params for (kind, _), parameter in only.items())


def words() -> list[tuple[str, str, Word]]:
    return [(kind, word, KINDS[kind].state[word]) for kind, word in WORDS]

"""The divisions on the way of a long sum: together they round the exact sum once, to nearest."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from compiler.netlist.kinds import integrate
from compiler.passes.prove_widths import cuts
from las_neuro.integers import WORD_LIMIT

PLAIN = {
    "multiplier": 1,
    "divide": 0,
    "bias": 0,
    "low": -WORD_LIMIT,
    "high": WORD_LIMIT,
    "gated": 0,
}


@given(st.integers(4, 20), st.integers(1, 4), st.integers(1, 2**19), st.randoms())
def test_all_cuts_round_once(digits: int, width: int, reach: int, random) -> None:
    """What is sent is the exact sum of weighed digits over 2**(all cuts), halves up."""
    sent = tuple(min(width, digits - low) for low in range(0, digits, width))
    p = {**PLAIN, **cuts(sent, reach)}
    came = [random.randint(-reach, reach) * (2**bits - 1) for bits in sent]
    if not p["safe"]:
        return
    low = range(0, digits, width)
    exact = Fraction(sum(a << k for a, k in zip(came, low, strict=True)), 2 ** sum(p["cut"]))
    state: dict[str, np.ndarray] = {}
    for k, a in enumerate(came):
        made = integrate.step(state, {"a": np.array([a])}, p, k)
        state = made.state
        assert made.wraps == 0
    assert made.payload.tolist() == [floor(exact + Fraction(1, 2))]


@given(st.integers(4, 20), st.integers(1, 8), st.integers(1, WORD_LIMIT))
def test_the_worst_negative_sum_stays_in_the_word(digits: int, width: int, reach: int) -> None:
    """A floor takes a negative sum further down."""
    sent = tuple(min(width, digits - low) for low in range(0, digits, width))
    p, state = cuts(sent, reach), 0
    for bits, shift, cut in zip(sent, p["shift"], p["cut"], strict=True):  # type: ignore[call-overload]
        state = (state >> cut) - (reach * (2**bits - 1) << shift)
        assert not p["safe"] or state >= -WORD_LIMIT

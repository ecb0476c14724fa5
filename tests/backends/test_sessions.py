"""Sessions of both engines by hand: pieces of a sequence, values, and counts of several runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backends.small import dense_net
from hwsim.backends import find
from hwsim.backends.backend import Session
from hwsim.backends.counters import Counters

TOKENS = np.array([[0, 1, 2]])
OUT = [[5, -6], [5, 10], [0, 0]]


@pytest.fixture(params=["step", "fast"])
def opened(request: pytest.FixtureRequest) -> Any:
    """opened(net, ...) -> a session that counts."""
    return lambda net, **callbacks: find(request.param).open(net, count=True, **callbacks)


def test_a_sequence_may_come_in_pieces(opened: Any) -> None:
    spikes: list[tuple[str, int, int, list[int]]] = []
    session: Session = opened(
        dense_net(), on_spike=lambda n, t, k, p: spikes.append((n, t, k, p.tolist()))
    )
    first, rest = session.feed(TOKENS[:, :1]), session.feed(TOKENS[:, 1:])
    assert first.tolist() == [OUT[:1]]
    assert rest.tolist() == [OUT[1:]]
    assert [spike for spike in spikes if spike[0] == "out" and any(spike[3])] == [
        ("out", 0, 1, [5, -6]),
        ("out", 1, 1, [5, 10]),
    ]
    assert (session.counters.tokens, session.counters.sequences) == (3, 1)


def test_reset_begins_another_sequence(opened: Any) -> None:
    session: Session = opened(dense_net())
    session.feed(TOKENS)
    session.reset()
    assert session.feed(TOKENS[:, 1:2]).tolist() == [OUT[1:2]]
    assert (session.counters.tokens, session.counters.sequences) == (4, 2)
    assert session.counters.populations["out"].spikes.tolist() == [3, 3]
    assert session.counters.populations["out"].clamps == 2


def test_values_are_handed_over_with_their_first_token(opened: Any) -> None:
    values: list[tuple[str, Any, int]] = []
    session: Session = opened(
        dense_net(), on_value=lambda p, x, start: values.append((p.name, x.tolist(), start))
    )
    session.feed(TOKENS[:, :2])
    session.feed(TOKENS[:, 2:])
    assert [value for value in values if value[0] == "out"] == [
        ("out", [OUT[:2]], 0),
        ("out", [OUT[2:]], 2),
    ]


def test_counts_of_two_runs_add_up() -> None:
    one, two = Counters.of(dense_net()), Counters.of(dense_net())
    for counters, k in ((one, 1), (two, 10)):
        counters.tokens, counters.sequences = 3 * k, k
        count = counters.populations["out"]
        count.spikes += np.array([k, 2 * k])
        count.updates, count.idle, count.clamps, count.wraps = 4 * k, 5 * k, 6 * k, 7 * k
    both = one.plus(two)
    assert (both.tokens, both.sequences) == (33, 11)
    count = both.populations["out"]
    assert count.spikes.tolist() == [11, 22]
    assert (count.updates, count.idle, count.clamps, count.wraps) == (44, 55, 66, 77)
    assert both.populations["in"].spikes.tolist() == [0, 0]
    assert one.populations["out"].spikes.tolist() == [1, 2]

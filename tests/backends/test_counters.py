"""Counts and how they differ, by hand."""

import numpy as np

from backends.small import dense_net, two_step_net
from hwsim.backends.counters import Counters


def test_counters_start_at_nothing() -> None:
    counters = Counters.of(two_step_net())
    assert list(counters.populations) == ["in", "turned", "late", "rows", "out"]
    assert (counters.tokens, counters.sequences) == (0, 0)
    count = counters.populations["rows"]
    assert count.spikes.tolist() == [0, 0]
    assert count.spikes.dtype == np.int64
    assert (count.updates, count.idle, count.clamps, count.wraps) == (0, 0, 0, 0)


def test_the_schedule_fixes_updates() -> None:
    """Period 4; out has 2 compartments and 2 steps, turned 4 and 1."""
    net = two_step_net()
    counters = Counters.of(net)
    counters.add_tokens(net, 3, 1)
    counters.add_tokens(net, 2, 4)
    assert (counters.tokens, counters.sequences) == (5, 5)
    updates = {name: (c.updates, c.idle) for name, c in counters.populations.items()}
    assert updates == {
        "in": (20, 60),
        "turned": (20, 60),
        "late": (20, 60),
        "rows": (10, 30),
        "out": (20, 20),
    }


def test_events_are_spikes_times_the_synapses_they_reach() -> None:
    net = two_step_net()
    counters = Counters.of(net)
    for name, count in counters.populations.items():
        count.spikes += np.arange(1, 1 + net.populations[name].n)
    assert [counters.events(net, group) for group in net.synapses] == [10, 10, 10, 10, 3]
    net = dense_net()
    counters = Counters.of(net)
    counters.populations["in"].spikes += [5, 2]
    assert counters.events(net, net.synapses[0]) == 14


def test_equal_counts_have_no_differences() -> None:
    one, two = Counters.of(dense_net()), Counters.of(dense_net())
    assert one.equals(two) == []
    one.tokens = 9
    assert one.equals(two) == []


def test_every_count_that_differs_is_named() -> None:
    one, two = Counters.of(dense_net()), Counters.of(dense_net())
    one.populations["in"].updates = 1
    one.populations["in"].idle = 2
    two.populations["in"].clamps = 3
    two.populations["out"].wraps = 4
    one.populations["out"].spikes += [0, 6]
    assert one.equals(two) == [
        "in: updates 1 != 0",
        "in: idle 2 != 0",
        "in: clamps 0 != 3",
        "out: wraps 0 != 4",
        "out[1]: 6 != 0 spikes (1 differ)",
    ]
    two.populations["out"].spikes += [7, 7]
    assert one.equals(two)[-1] == "out[0]: 0 != 7 spikes (2 differ)"

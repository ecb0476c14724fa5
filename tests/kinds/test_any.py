"""any: one spike is enough."""

from kinds.literal import Stepped, step


def test_it_fires_when_at_least_one_spike_came() -> None:
    assert step("any", {}, a=[-1, 0, 1, 2, 8388607]) == Stepped({}, [0, 0, 1, 1, 1])

"""input: what the host injects is what is sent."""

from kinds.literal import reply


def test_the_host_s_values_are_sent_as_they_are() -> None:
    assert reply("input", {}, host=[0, 1, -1, 8388607, -8388607]) == (
        [0, 1, -1, 8388607, -8388607],
        0,
    )

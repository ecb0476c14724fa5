"""leak: what is left after silence, a spike up and a spike down, by hand."""

from kinds.literal import reply


def test_at_the_threshold_nothing_was_sent() -> None:
    """Halved, halves up: 4 and -4 are kept, 5 is reset to 0, -5 counts twice."""
    params = {"multiplier": [1], "shift": [0], "threshold": 4, "gain": [1], "divide": [1]}
    assert reply("leak", params, x=[3, 4, 5, -3, -4, -5, -6, 0]) == (
        [2, 2, 0, -1, -2, -5, -6, 0],
        0,
    )


def test_the_test_is_made_in_the_neuron_s_units() -> None:
    """3 / 2 of 2, 3, -3 and -4 is 3, 4.5 up to 5, -4.5 up to -4 and -6; what leaks is x itself."""
    params = {"multiplier": [3], "shift": [1], "threshold": 4, "gain": [4], "divide": [0]}
    assert reply("leak", params, x=[2, 3, -3, -4]) == ([8, 0, -12, -32], 0)


def test_each_compartment_has_its_own_rates() -> None:
    params = {"multiplier": [1, 2], "shift": [0, 1], "threshold": 9, "gain": [3, 5]}
    assert reply("leak", {**params, "divide": [1, 2]}, x=[5, 5]) == ([8, 6], 0)


def test_the_answer_is_held_to_a_word() -> None:
    params = {"multiplier": [1], "shift": [0], "threshold": 8388607, "gain": [2], "divide": [0]}
    assert reply("leak", params, x=[4194303, 4194304, -4194303, -4194304]) == (
        [8388606, 8388607, -8388606, -8388607],
        2,
    )
    params["gain"] = [1]
    assert reply("leak", params, x=[8388607, -8388607]) == ([8388607, -8388607], 0)

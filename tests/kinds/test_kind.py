"""What all kinds share: words, parameters, steps in a row, answers at once."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from compiler.netlist.kinds import KINDS, Cost, Kind, Outcome, fold
from compiler.netlist.kinds.kind import Port, Word, at_once
from compiler.netlist.kinds.params import Param, Params
from compiler.netlist.kinds.spikes import SpikeCode, Spikes, bits_from_the_top, never, signed_width
from compiler.netlist.kinds.timing import TRAIN, at_all, at_last, at_the_train
from compiler.netlist.trains import Graded
from kinds.literal import plain
from las_neuro.integers import Array, Ints


@pytest.mark.parametrize(
    ("word", "ends"),
    [
        (Word(24), (-8388608, 8388607)),
        (Word(16, signed=False), (0, 65535)),
        (Word(2), (-2, 1)),
        (Word(1, signed=False), (0, 1)),
    ],
)
def test_a_word_s_ends(word: Word, ends: tuple[int, int]) -> None:
    assert word.range == ends


@pytest.mark.parametrize(
    ("param", "ends"),
    [
        (Param(24, signed=True), (-8388607, 8388607)),
        (Param(24), (0, 8388607)),
        (Param(16, signed=True), (-32768, 32768)),
        (Param(6), (0, 63)),
        (Param(1), (0, 1)),
    ],
)
def test_a_parameter_s_ends(param: Param, ends: tuple[int, int]) -> None:
    assert param.range == ends


def counting(state: dict[str, Any], inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    """Adds up what came and sends it times the step; step k clamps k and wraps 2 k."""
    u = state.get("u", 0) + inputs["a"] + p["bias"]
    return Outcome({"u": u}, u * k, k, 2 * k)


def kind(**changes: Any) -> Kind:
    given: dict[str, Any] = {
        "ports": {"x": Port("latch"), "a": Port("sum"), "b": Port("sum")},
        "state": {
            "u": Word(24),
            "v": Word(9),
            "x": Word(24, shares="u"),
            "enabled": Word(1, only="gated"),
        },
        "params": {"base": Param(24, per="table"), "n": Param(3), "slope": Param(4, per="table")},
        "step": counting,
        "window": None,
        "cost": lambda p: Cost(),
    }
    return Kind("counting", "for this test", **{**given, **changes})


def test_steps_in_a_row() -> None:
    came = [{"a": np.array([x, 0])} for x in (5, 7, -1)]
    outcome = fold(kind(), {"u": np.array([100, 0])}, came, {"bias": 1})
    assert plain(outcome.state["u"]) == [114, 3]
    assert outcome.payload.tolist() == [[0, 0], [114, 2], [228, 6]]
    assert (outcome.clamps, outcome.wraps) == (3, 6)


def test_words_that_take_bits_of_their_own() -> None:
    assert kind().state_bits == 33
    assert kind(state={}).state_bits == 0


def test_shared_tables_and_the_port_that_adds_up() -> None:
    assert kind().tables == ("base", "slope")
    assert kind().sum_port == "a"
    assert kind(ports={"x": Port("latch")}).sum_port == ""


def test_an_answer_at_once_is_step_and_window() -> None:
    def answer(x: Array, p: Params) -> tuple[Array, int]:
        return x * p["gain"], 4

    step, window = at_once(answer)
    outcome = step({"u": 1}, {"x": np.array([2, -3])}, {"gain": 5}, 0)
    assert (outcome.state, plain(outcome.payload)) == ({}, [10, -15])
    assert (outcome.clamps, outcome.wraps) == (4, 0)
    swept = window({"u": 1}, {"x": torch.tensor([[[2, -3]]])}, {"gain": 5})
    assert isinstance(swept.train, Graded)
    assert (swept.state, swept.train.value.tolist()) == ({}, [[[10, -15]]])
    assert (swept.clamps, swept.wraps) == (4, 0)


def test_what_spikes_stand_for() -> None:
    plain_value = Spikes()
    assert plain_value.graded({}) is True
    assert plain_value.payload_bits({}) == 24
    assert plain_value.code({}, 3) == SpikeCode((), ())
    assert plain_value.unit_payload({}) == 1
    assert never({}) is False
    assert bits_from_the_top({}, 3) == SpikeCode((2, 1, 0), (1, 1, 1))
    assert bits_from_the_top({}, 2) == SpikeCode((1, 0), (1, 1))
    assert bits_from_the_top({}, 1) == SpikeCode((0,), ())
    assert [signed_width(x) for x in (0, 1, 2, 127, 128, 8388607)] == [1, 2, 3, 8, 9, 24]


def test_which_steps_send() -> None:
    assert at_last((1, 2, 4), {}) == (4,)
    assert at_last((), {}) == ()
    assert at_all((1, 2, 4), {}) == (1, 2, 4)
    assert at_the_train((1, 2, 4, 5), {"steps": 3}) == (2, 4, 5)
    assert TRAIN.listens is not None
    assert TRAIN.listens({"early": 1}) == 1


def test_the_code_of_encoded_spikes() -> None:
    spikes = KINDS["encode"].spikes
    p = {"digits": 8, "digit_bits": 3, "outlier_shift": 4, "outliers": np.array([0, 1])}
    assert spikes.code(p, 3) == SpikeCode((0, 3, 6), (3, 3, 2))
    assert spikes.code({**p, "digits": 9}, 3) == SpikeCode((0, 3, 6), (3, 3, 3))
    assert spikes.payload_bits(p) == 8
    assert spikes.graded(p) is True
    assert spikes.graded({**p, "digit_bits": 1}) is False
    assert np.asarray(spikes.unit_payload(p)).tolist() == [1, 16]


@pytest.mark.parametrize(
    ("level", "most", "bits", "volley"), [(1, 1, 6, 9), (4, 4, 8, 36), (4, 3, 7, 27), (4, 1, 7, 27)]
)
def test_the_code_of_fired_spikes(level: int, most: int, bits: int, volley: int) -> None:
    """Spike values 4, -3 and 2; the largest lift is 2."""
    spikes = KINDS["fire"].spikes
    p = {"send": np.array([4, -3, 2]), "lift": np.array([0, 2]), "level": level, "most": most}
    assert spikes.code(p, 3) == SpikeCode((0, 0, 0), ())
    assert spikes.payload_bits(p) == bits
    assert spikes.graded(p) is True
    assert np.asarray(spikes.unit_payload(p)).tolist() == [1, 4]
    assert spikes.volley is not None
    assert spikes.volley(p) == volley
    binary = {"send": np.array([1, -1]), "lift": np.array([0]), "level": 1, "most": 1}
    assert spikes.graded(binary) is False
    assert spikes.payload_bits(binary) == 2

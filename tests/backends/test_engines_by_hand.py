"""What both engines read, send and count on small netlists, by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from wiring import wire

from backends.small import SUM, dense, dense_net, entry, summer, two_step_net
from compiler.netlist.model import Netlist, Pattern, Population, Synapses
from hwsim.backends.counters import Counters
from hwsim.backends.fast.engine import Engine
from hwsim.backends.step.stepper import Stepper
from las_neuro.errors import NetlistError, PromptError

Run = Callable[[Netlist, list[list[int]]], tuple[list[list[list[int]]], Counters]]


def by_steps(net: Netlist, pieces: list[list[int]]) -> Any:
    stepper = Stepper(net)
    read = [stepper.run(np.array(tokens)).tolist() for tokens in pieces]
    return read, stepper.counters


def by_windows(net: Netlist, pieces: list[list[int]]) -> Any:
    engine = Engine(net)
    read = [engine.run(np.array([tokens]))[0].tolist() for tokens in pieces]
    return read, engine.counters


both = pytest.mark.parametrize("run", [by_steps, by_windows])


def spikes(counters: Counters) -> dict[str, list[int]]:
    return {name: count.spikes.tolist() for name, count in counters.populations.items()}


@both
def test_dense_weights(run: Run) -> None:
    read, counters = run(dense_net(), [[0, 1], [2]])
    assert read == [[[5, -6], [5, 10]], [[0, 0]]]
    assert spikes(counters) == {"in": [1, 2], "out": [2, 2]}
    assert (counters.tokens, counters.sequences) == (3, 1)
    out = counters.populations["out"]
    assert (out.updates, out.idle, out.clamps, out.wraps) == (6, 6, 1, 0)


@both
def test_patterns_and_gathers(run: Run) -> None:
    """Token 0: turned 4 -3 -2 1, rows 3 and 7.  Token 1: turned -7 0 0 0, rows 0 and -7."""
    read, counters = run(two_step_net(), [[0, 1]])
    assert read == [[[10, 20], [-7, -21]]]
    assert spikes(counters) == {
        "in": [1, 1, 1, 2],
        "turned": [2, 1, 1, 1],
        "late": [1, 1, 1, 2],
        "rows": [1, 2],
        "out": [2, 2],
    }


def test_a_sum_is_not_safe_because_it_says_so() -> None:
    """Graded values may be whole words: nothing bounds their sums."""
    with pytest.raises(NetlistError, match=r"^in -> out\.a: sums marked safe can reach beyond"):
        Engine(dense_net(safe=1))


@both
def test_a_sum_that_leaves_its_word_is_counted(run: Run) -> None:
    source, table = entry("in", [[8388607, 1], [8388607, 0]], d=2)
    out = summer("out", 1, axes={"e": 1})
    net = wire([source, out], [dense("in", "out", [[1, 1]])], tables=[table])
    read, counters = run(net, [[0, 1]])
    assert read == [[[-8388607], [8388607]]]
    assert counters.populations["out"].clamps == 1
    assert counters.populations["out"].wraps == 1


@both
def test_a_copy_along_an_axis(run: Run) -> None:
    source, table = entry("in", [[2, -3]], h=2)
    out = summer("out", 1, axes={"h": 2, "d": 3}, bias=np.arange(6))
    form = Pattern(("h",), ("h", "d"), -2)
    net = wire([source, out], [Synapses("in", "out", "a", form)], tables=[table])
    assert run(net, [[0]])[0] == [[[-4, -3, -2, 9, 10, 11]]]


@both
def test_one_number_for_the_whole_network(run: Run) -> None:
    """A population without axes hears the sum, and tells everybody."""
    source, table = entry("in", [[2, -3, 7]], d=3)
    middle = summer("middle", 1, axes={})
    out = summer("out", 2, axes={"d": 3})
    net = wire(
        [source, middle, out],
        [
            Synapses("in", "middle", "a", Pattern(("d",), ())),
            Synapses("middle", "out", "a", Pattern((), ("d",))),
        ],
        tables=[table],
    )
    read, counters = run(net, [[0]])
    assert read == [[[6, 6, 6]]]
    assert spikes(counters) == {"in": [1, 1, 1], "middle": [1], "out": [1, 1, 1]}


@both
def test_two_groups_into_one_port_add_up(run: Run) -> None:
    one, first = entry("one", [[1, 2], [3, 4]], d=2)
    two, second = entry("two", [[10, 20], [30, 40], [50, 60]], source="position", d=2)
    out = summer("out", 1, axes={"d": 2})
    same = Pattern(("d",), ("d",))
    net = wire(
        [one, two, out],
        [Synapses("one", "out", "a", same), Synapses("two", "out", "a", same)],
        tables=[first, second],
    )
    assert run(net, [[1, 1], [0]])[0] == [[[13, 24], [33, 44]], [[51, 62]]]


@both
def test_a_spike_not_heard_in_its_step_is_lost(run: Run) -> None:
    """out is updated one step after the spike is there."""
    source, table = entry("in", [[5]], d=1)
    heard, out = summer("heard", 1, axes={"d": 1}), summer("out", 2, axes={"d": 1})
    same = Pattern(("d",), ("d",))
    net = wire(
        [source, heard, out],
        [Synapses("in", "heard", "a", same), Synapses("heard", "out", "a", same)],
        tables=[table],
    )
    assert run(net, [[0]])[0] == [[[5]]]


@both
def test_no_more_tokens_than_the_context(run: Run) -> None:
    net = replace(dense_net(), context=3)
    assert run(net, [[0, 0], [0]])[1].tokens == 3
    with pytest.raises(PromptError, match=r"^4 tokens exceed the context of 3"):
        run(net, [[0, 0], [0, 0]])


ENCODE: dict[str, Any] = {
    "multiplier": np.array([1]),
    "shift": np.array([0]),
    "digits": 4,
    "digit_bits": 1,
    "signed_digit": 0,
    "skipped": np.array([0]),
    "steps": 4,
    "early": 0,
    "outlier_shift": 2,
    "outliers": np.array([0, 1]),
}


def coded_net(**changes: Any) -> Netlist:
    """Digits of two values through weights [[2, -1], [1, 3]]; the second may be an outlier."""
    source, table = entry("in", [[5, -15], [16, 18], [0, 0]], d=2)
    params: dict[str, Any] = {**ENCODE, **changes}
    steps = tuple(range(1, 1 + params["steps"]))
    code = Population("code", "encode", {"d": 2}, params, steps, steps, 0)
    bits = params["digit_bits"]
    shift = tuple(range(0, bits * params["steps"], bits))
    out = summer("out", *(k + 1 for k in steps), axes={"e": 2}, shift=shift, cut=(0,) * len(shift))
    out = replace(out, params={**out.params, "safe": 1})
    into = Synapses("in", "code", "x", Pattern(("d",), ("d",)))
    weights = dense("code", "out", [[2, -1], [1, 3]])
    return wire([source, code, out], [into, weights], tables=[table])


@both
def test_binary_digits_and_an_outlier(run: Run) -> None:
    """16 is cut to 15; 18 is 5 units of 4, 18 / 4 to nearest."""
    read, counters = run(coded_net(), [[0, 1, 2]])
    assert read == [[[25, -40], [10, 75], [0, 0]]]
    assert spikes(counters) == {"in": [2, 2], "code": [6, 6], "out": [2, 2]}
    assert counters.populations["code"].clamps == 1


@both
def test_graded_digits(run: Run) -> None:
    read, counters = run(coded_net(digit_bits=3, steps=2, outlier_shift=0), [[0, 1, 2]])
    assert read == [[[25, -40], [15, 60], [0, 0]]]
    assert spikes(counters)["code"] == [3, 4]
    assert counters.populations["code"].clamps == 2


@both
def test_signed_digits(run: Run) -> None:
    """Four signed digits give at most 10; 5 is 4 + 1."""
    read, counters = run(coded_net(signed_digit=1, outlier_shift=0), [[0, 1, 2]])
    assert read == [[[20, -25], [10, 40], [0, 0]]]
    assert spikes(counters)["code"] == [4, 4]
    assert counters.populations["code"].clamps == 3


def test_the_stepper_tells_every_spike() -> None:
    heard: list[tuple[str, int, int, list[int]]] = []

    def listen(name: str, token: int, step: int, payload: NDArray[np.int64]) -> None:
        heard.append((name, token, step, payload.tolist()))

    stepper = Stepper(dense_net(), on_spike=listen)
    stepper.run(np.array([0]))
    stepper.run(np.array([1]))
    assert heard == [
        ("in", 0, 0, [3, -1]),
        ("out", 0, 1, [5, -6]),
        ("in", 1, 0, [0, 5]),
        ("out", 1, 1, [5, 10]),
    ]


def test_the_engine_tells_every_train() -> None:
    heard: list[tuple[str, int, list[Any]]] = []

    def listen(population: Population, train: Any, start: int) -> None:
        heard.append((population.name, start, train.value.tolist()))

    engine = Engine(dense_net(), on_train=listen)
    engine.run(np.array([[0, 1]]))
    engine.run(np.array([[2]]))
    assert heard == [
        ("in", 0, [[[3, -1], [0, 5]]]),
        ("out", 0, [[[5, -6], [5, 10]]]),
        ("in", 2, [[[0, 0]]]),
        ("out", 2, [[[0, 0]]]),
    ]


def test_after_a_reset_a_new_sequence_begins() -> None:
    stepper, engine = Stepper(dense_net()), Engine(dense_net())
    for _ in range(2):
        stepper.run(np.array([0] * 8))
        engine.run(np.array([[0] * 8]))
        stepper.reset()
        engine.reset()
    for counters in (stepper.counters, engine.counters):
        assert (counters.tokens, counters.sequences) == (16, 2)


def test_sequences_of_a_batch_are_counted_each() -> None:
    engine = Engine(dense_net())
    read = engine.run(np.array([[0, 1], [2, 0]]))
    assert read.tolist() == [[[5, -6], [5, 10]], [[0, 0], [5, -6]]]
    assert (engine.counters.tokens, engine.counters.sequences) == (4, 2)
    assert spikes(engine.counters) == {"in": [2, 3], "out": [3, 3]}


def test_a_run_need_not_be_counted() -> None:
    engine = Engine(dense_net(), count=False)
    assert engine.run(np.array([[0]])).tolist() == [[[5, -6]]]
    assert spikes(engine.counters) == {"in": [0, 0], "out": [0, 0]}
    assert (engine.counters.tokens, engine.counters.populations["out"].updates) == (0, 0)


def test_the_sum_s_parameters_are_those_of_the_kind() -> None:
    """So that the netlists above are netlists."""
    assert set(SUM) == set(dense_net().populations["out"].does.params)

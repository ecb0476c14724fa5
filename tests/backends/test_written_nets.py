"""Small netlists with written synapses: both engines give what was counted by hand, and agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from engines import same_weights
from hypothesis import given, settings
from hypothesis import strategies as st
from wiring import wire

from backends.small import entry, summer
from compiler.netlist.check import check
from compiler.netlist.model import Netlist, Pattern, Population, Synapses, Written
from hwsim.backends.fast.engine import Engine
from hwsim.backends.fast.session import spike_listener
from hwsim.backends.step.stepper import Stepper
from hwsim.backends.traces import Trace
from las_neuro.errors import BackendError

CONTEXT = 8
ROWS = [[3, -1], [0, 5], [0, 0], [-2, 4]] * 2  # what is written for tokens 0 to 3
Read = Callable[[Netlist, list[int]], list[list[int]]]


def pointer(name: str, slots: int, at: int) -> Population:
    return Population(
        name, "pointer", {"j": slots} if slots > 1 else {}, {"slots": slots}, (at,), (at,), 0
    )


def same(source: str, target: str, *axes: str) -> Synapses:
    return Synapses(source, target, "a", Pattern(axes, axes))


def keys_net(slots: int = CONTEXT, limit: int = 5, heads: int = 1) -> Netlist:
    """Values [d 2] are written; queries [g, d 2], a row for each place, meet them in `out` [g, j].

    Query 0 is 1 10, query 1 is 100 0.
    """
    value, tokens = entry("value", ROWS, d=2)
    asked, places = entry(
        "asked", [[1, 10, 100, 0][: 2 * heads]] * CONTEXT, source="position", g=heads, d=2
    )
    query = summer("query", 1, axes={"g": heads, "d": 2})
    out = summer("out", 2, axes={"g": heads, "j": slots})
    return wire(
        [value, pointer("at", slots, 0), asked, query, out, summer("all", 3, axes={})],
        [
            same("asked", "query", "g", "d"),
            Synapses("query", "out", "a", Written(("j", "d"), "value", "at", limit)),
            Synapses("out", "all", "a", Pattern(("g", "j"), ())),
        ],
        tables=[tokens, places],
    )


def sent(trace: Trace, tokens: list[int]) -> list[list[int]]:
    """What `out` sent for each token."""
    out = trace.net.populations["out"]
    spikes, silence = trace.payloads.get("out", {}), np.zeros(out.n, np.int64)
    return [spikes.get((t, out.sends[0]), silence).tolist() for t in range(len(tokens))]


def by_steps(net: Netlist, tokens: list[int]) -> list[list[int]]:
    trace = Trace(net)
    Stepper(net, on_spike=trace.spike).run(np.array(tokens))
    return sent(trace, tokens)


def by_windows(net: Netlist, tokens: list[int]) -> list[list[int]]:
    trace = Trace(net)
    Engine(net, on_train=spike_listener(trace.spike)).run(np.array([tokens]))
    return sent(trace, tokens)


def token_by_token(net: Netlist, tokens: list[int]) -> list[list[int]]:
    trace = Trace(net)
    engine = Engine(net, on_train=spike_listener(trace.spike))
    for token in tokens:
        engine.run(np.array([[token]]))
    return sent(trace, tokens)


every = pytest.mark.parametrize("read", [by_steps, by_windows, token_by_token])


@every
def test_keys(read: Read) -> None:
    """Token 2 is silent: 0 is written.  Slots not used yet give 0."""
    net = keys_net()
    check(net)
    assert read(net, [0, 2, 1, 3]) == [
        [-7, 0, 0, 0, 0, 0, 0, 0],
        [-7, 0, 0, 0, 0, 0, 0, 0],
        [-7, 0, 50, 0, 0, 0, 0, 0],
        [-7, 0, 50, 38, 0, 0, 0, 0],
    ]


@every
def test_queries_that_share_a_key_head(read: Read) -> None:
    net = keys_net(slots=2, heads=2)
    check(net)
    assert read(net, [0, 3, 1]) == [[-7, 0, 300, 0], [-7, 38, 300, -200], [50, 38, 0, -200]]


@every
def test_a_ring_forgets_the_oldest(read: Read) -> None:
    """A silent token leaves 0 in the slot that token 0 had."""
    net = keys_net(slots=2)
    check(net)
    assert read(net, [0, 1, 2, 3, 3]) == [[-7, 0], [-7, 50], [0, 50], [0, 38], [38, 38]]


@every
def test_a_ring_of_one_slot(read: Read) -> None:
    net = keys_net(slots=1)
    check(net)
    assert read(net, [0, 1, 2, 3]) == [[-7], [50], [0], [38]]


@every
def test_digits_that_read(read: Read) -> None:
    """The query 2 3 in two binary digits: its spikes 0 1 and 1 1 meet the keys, shifted."""
    value, tokens = entry("value", ROWS, d=2)
    asked, places = entry("asked", [[2, 3]] * CONTEXT, source="position", d=2)
    params: dict[str, Any] = {key: np.array([0]) for key in ("shift", "skipped", "outliers")}
    params |= {"multiplier": np.array([1]), "digits": 2, "digit_bits": 1, "signed_digit": 0}
    params |= {"steps": 2, "early": 0, "outlier_shift": 0}
    code = Population("code", "encode", {"d": 2}, params, (1, 2), (1, 2), 0)
    out = summer("out", 2, 3, axes={"j": 2}, shift=(0, 1), cut=(0, 0))
    net = wire(
        [value, pointer("at", 2, 0), asked, code, out, summer("all", 4, axes={})],
        [
            Synapses("asked", "code", "x", Pattern(("d",), ("d",))),
            Synapses("code", "out", "a", Written(("j", "d"), "value", "at", 5)),
            Synapses("out", "all", "a", Pattern(("j",), ())),
        ],
        tables=[tokens, places],
    )
    check(net)
    assert read(net, [0, 3, 1]) == [[3, 0], [3, 8], [15, 8]]


def values_net() -> Netlist:
    """Scores 1 of the slots in use [j 2] weigh the values [d 2] that were written."""
    net = keys_net(slots=2)
    out = summer("out", 3, axes={"d": 2})
    form = Written(("j", "d"), "value", "at", 5)
    scores = replace(net.populations["out"], name="scores", axes={"j": 2})
    populations = [p for name, p in net.populations.items() if name not in ("out", "all")]
    populations = [
        replace(p, axes={"d": 2}) if p.name in ("asked", "query") else p for p in populations
    ]
    return wire(
        [*populations, scores, out],
        [
            same("asked", "query", "d"),
            Synapses("query", "scores", "a", form),
            Synapses("scores", "out", "a", form),
        ],
        tables=net.tables,
    )  # fmt: skip


@every
def test_values(read: Read) -> None:
    """Weighted by the scores of `test_a_ring_forgets_the_oldest`: -7 * (3 -1) and so on."""
    net = values_net()
    check(net)
    assert read(net, [0, 1, 2, 3, 3]) == [[-21, 7], [-21, 257], [0, 250], [-76, 152], [-152, 304]]


@every
def test_a_gate(read: Read) -> None:
    """Only slots in use take part: a bias of 4 shows where the gate was opened."""
    value, table = entry("in", ROWS, d=2)
    flag, clock = pointer("flag", 1, 0), pointer("clock", 1, 1)
    out = summer("out", 2, axes={"k": 2, "j": 3}, gated=1, bias=np.array([4]))
    idle = summer("idle", 1, axes={"d": 2})
    net = wire(
        [value, idle, flag, pointer("at", 3, 0), clock, out, summer("all", 3, axes={})],
        [
            same("in", "idle", "d"),
            Synapses("idle", "out", "a", Pattern(("d",), ("k", "j"))),
            Synapses("clock", "out", "enable", Written(("j",), "flag", "at", 1)),
            Synapses("out", "all", "a", Pattern(("k", "j"), ())),
        ],
        tables=[table],
    )
    check(net)
    assert read(net, [2, 0, 1, 2]) == [
        [4, 0, 0, 4, 0, 0],
        [6, 6, 0, 6, 6, 0],
        [9, 9, 9, 9, 9, 9],
        [4, 4, 4, 4, 4, 4],
    ]


@pytest.mark.parametrize("read", [by_steps, by_windows])
def test_a_value_that_waits_for_the_next_phase(read: Read) -> None:
    """Written for all tokens, then read in the same order."""
    value, table = entry("value", ROWS, d=2)
    out = summer("out", 2, axes={"d": 2})
    net = wire(
        [value, pointer("at", 4, 0), pointer("turn", 4, 1), out],
        [Synapses("turn", "out", "a", Written(("j", "d"), "value", "at", 5))],
        tables=[table],
        phases=((0, 1), (1, 3)),
    )
    net = replace(net, context=4, causal=False)
    check(net)
    assert read(net, [3, 0, 2]) == [[-2, 4], [3, -1], [0, 0]]


def test_a_spike_of_the_same_step_meets_the_old_content() -> None:
    """No netlist for the fast engine: `check` refuses it."""
    net = keys_net(slots=1)
    form = Written(("j", "d"), "value", "at", 5)
    net.synapses = [Synapses("asked", "out", "a", form), *net.synapses[2:]]
    net.update("out", steps=(1,), sends=(1,))
    del net.populations["query"]
    assert by_steps(net, [0, 1, 3]) == [[0], [-7], [50]]


@pytest.mark.parametrize("run", [by_steps, by_windows])
def test_a_number_beyond_the_limit_is_a_bug(run: Read) -> None:
    net = keys_net(slots=2, limit=4)
    assert run(net, [0, 3])[-1] == [-7, 38]
    with pytest.raises(BackendError, match=r"more than \+-4\b.*this is a bug"):
        run(net, [0, 1])


def test_a_reset_forgets_what_was_written() -> None:
    net = keys_net(slots=2)
    stepper, engine = Stepper(net), Engine(net)
    for _ in range(2):
        assert stepper.run(np.array([0, 3])).tolist() == [[-7], [31]]
        assert engine.run(np.array([[0, 3]]))[0].tolist() == [[-7], [31]]
        assert stepper.contents[0].array.tolist() == [[3, -1], [-2, 4]]
        assert engine.contents[1].tolist() == [[[3, -1], [-2, 4]]]
        stepper.reset()
        engine.reset()
        assert stepper.contents[0].array.tolist() == [[0, 0], [0, 0]]
        assert engine.contents == {}


def test_sequences_of_a_batch_write_their_own_weights() -> None:
    """The first: -7, 50 - 7, 50 + 38.  The second: 38, 38 + 0, -7 + 0."""
    found = Engine(keys_net(slots=2)).run(np.array([[0, 1, 3], [3, 2, 0]]))
    assert found.tolist() == [[[-7], [43], [88]], [[38], [38], [-7]]]


def test_weights_that_differ_are_noticed() -> None:
    net = keys_net(slots=2)
    stepper, engine = Stepper(net), Engine(net)
    stepper.run(np.array([0]))
    engine.run(np.array([[0]]))
    same_weights(engine, stepper)
    engine.contents[1] = engine.contents[1] + torch.tensor([[[0, 1]]])
    with pytest.raises(AssertionError):
        same_weights(engine, stepper)


@st.composite
def attention(draw: st.DrawFn) -> tuple[Netlist, list[int]]:
    """Keys and values, sizes and orders of axes at random, up to the limit; sums may wrap."""
    k, g, d = draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(1, 3))
    slots, limit = draw(st.integers(1, CONTEXT)), draw(st.sampled_from([1, 63, 64, 8127]))
    random = np.random.default_rng(draw(st.integers(0, 999)))
    sizes = {"k": k, "g": g, "j": slots, "d": d}
    by_width, by_slots = (
        {axis: sizes[axis] for axis in draw(st.permutations(axes))} for axes in ("kgd", "kgj")
    )
    value, tokens = entry("value", random.integers(-limit, limit + 1, (8, k * d)), k=k, d=d)
    rows = random.integers(-9, 10, (CONTEXT, k * g * d))
    asked, places = entry("asked", rows, source="position", **by_width)
    keys, values = (
        Written(tuple(draw(st.sampled_from(["jkd", "kjd", "kdj"]))), "value", "at", limit)
        for _ in range(2)
    )
    net = wire(
        [value, pointer("at", slots, 0), asked, summer("query", 1, axes=by_width),
         summer("scores", 2, axes=by_slots), summer("out", 3, axes=by_width)],
        [
            same("asked", "query", *by_width),
            Synapses("query", "scores", "a", keys),
            Synapses("scores", "out", "a", values),
        ],
        tables=[tokens, places],
    )  # fmt: skip
    return net, draw(st.lists(st.integers(0, 7), min_size=1, max_size=CONTEXT))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(attention(), st.lists(st.integers(1, 4), max_size=3))
def test_windows_of_any_size_are_the_steps(
    drawn: tuple[Netlist, list[int]], sizes: list[int]
) -> None:
    net, tokens = drawn
    check(net)
    stepper, engine = Stepper(net), Engine(net)
    expected = stepper.run(np.array(tokens))
    parts = [part for part in np.split(np.array(tokens), np.cumsum(sizes)) if len(part)]
    found = torch.cat([engine.run(part[None])[0] for part in parts])
    np.testing.assert_array_equal(found.numpy(), expected)
    assert engine.counters.equals(stepper.counters) == []
    same_weights(engine, stepper)

"""Small netlists inside Lava: extreme weights, loops, phases, loose parts; what is refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from wiring import wire

from compiler.netlist.check import check
from compiler.netlist.model import (
    Dense,
    Gather,
    HostTable,
    InMemory,
    Netlist,
    Pattern,
    Population,
    Synapses,
    Written,
)
from hwsim.backends.lava import runtime
from las_neuro.errors import BackendError

pytestmark = [pytest.mark.lava, pytest.mark.timeout(60)]
Same = Callable[..., Any]
SUM = {
    "shift": (0,),
    "cut": (0,),
    "multiplier": np.array([1]),
    "divide": np.array([0]),
    "bias": np.array([0]),
    "low": -(2**23 - 1),
    "high": 2**23 - 1,
    "gated": 0,
    "safe": 0,
}


def summer(name: str, at: int, layer: int = 0, **axes: int) -> Population:
    return Population(name, "integrate", axes, SUM, (at,), (at,), layer)


def entry(rows: Any, **axes: int) -> tuple[Population, HostTable]:
    table = HostTable("in", "token", 0, InMemory(np.asarray(rows, np.int32)))
    return Population("in", "input", axes, {}, (0,), (0,), -1), table


def dense(source: str, target: str, weights: Any, bits: int = 8) -> Synapses:
    return Synapses(source, target, "a", Dense(InMemory(np.asarray(weights, np.int8)), bits))


def straight(rows: Any, weights: Any, bits: int = 8) -> Netlist:
    """in -> out by one dense group."""
    source, table = entry(rows, d=len(rows[0]))
    out = summer("out", 1, e=len(weights))
    return wire([source, out], [dense("in", "out", weights, bits)], tables=[table])


@pytest.mark.parametrize("mode", ["fine", "fused"])
def test_whole_range_of_weights(same: Same, mode: str) -> None:
    """All of int8 in mixed rows, rows of one sign, and payloads up to what the sums allow."""
    every = np.arange(-128, 128)
    weights = [every, every[::-1], np.full(256, -128), np.full(256, 127)]
    rows = np.random.default_rng(0).integers(-255, 256, (4, 256))
    rows[3] = 0
    rows[3, [0, 255]] = 255  # -128 and 127 alone
    same(straight(rows, weights), [0, 1, 2, 3], mode)


@pytest.mark.parametrize("bits", range(1, 8))
def test_whole_range_of_narrow_weights(same: Same, bits: int) -> None:
    """Lava's own synapses of so many bits keep every value that so many bits hold."""
    every = np.arange(-(1 << bits - 1), 1 << bits - 1)
    weights = [every, every[::-1], np.full(every.size, every[0]), np.full(every.size, every[-1])]
    rows = np.random.default_rng(bits).integers(-255, 256, (3, every.size))
    same(straight(rows, weights, bits), [0, 1, 2], "fine")


@pytest.mark.parametrize("sign", [-1, 1])
def test_weights_of_one_sign(same: Same, sign: int) -> None:
    """Lava would clip these to 8 bits and one sign if it were left to choose its sign mode."""
    same(straight([[3, 60_000, -7]], [[sign * 127, sign * 2, sign * 101]]), [0], "fine")
    same(straight([[3, 60_000, -7]], [[-128, -128, -1]]), [0], "fine")


@pytest.mark.parametrize("mode", ["fine", "fused"])
def test_patterns_gathers_and_residuals(same: Same, mode: str) -> None:
    """Sums and copies along axes, two groups into one port, two populations into the next step."""
    rng = np.random.default_rng(1)
    source, table = entry(rng.integers(-999, 999, (3, 24)), h=2, j=3, d=4)
    turned = summer("turned", 1, 1, h=2, j=3, d=4)
    rows = summer("rows", 1, 2, h=2, j=3)
    whole = summer("whole", 2, 2)
    out = summer("out", 2, 3, h=2, d=4)
    turn = Gather(rng.permutation(24).astype(np.int32), rng.choice([-1, 1], 24).astype(np.int8))
    net = wire(
        [source, turned, rows, whole, replace(out, steps=(2, 3), params=twice(), sends=(3,))],
        [
            Synapses("in", "turned", "a", turn),
            Synapses("in", "rows", "a", Pattern(("h", "j", "d"), ("h", "j"))),
            Synapses("turned", "out", "a", Pattern(("h", "j", "d"), ("h", "d"), -1)),
            Synapses("rows", "out", "a", Pattern(("h", "j"), ("h", "d"), 3)),
            Synapses("turned", "whole", "a", Pattern(("h", "j", "d"), ())),
            Synapses("whole", "out", "a", Pattern((), ("h", "d"))),
        ],
        tables=[table],
    )
    same(net, [0, 1, 2], mode)


def twice() -> dict[str, Any]:
    return SUM | {"shift": (2, 0), "cut": (0, 1)}


@pytest.mark.parametrize("mode", ["fine", "fused"])
def test_a_loop_across_processes(same: Same, mode: str) -> None:
    """compete and its referee, fused into two processes that need each other every step."""
    source, table = entry([[9, 30, 31, 0], [1, 1, 1, 0], [0, 0, 0, 0], [17, 16, 3, 2]], j=4)
    rounds = (1, 3, 5, 7, 9, 11)
    rival = Population("rival", "compete", {"j": 4}, {"bits": 5, "drop": 0}, rounds, rounds[:-1], 0)
    referee = Population("referee", "any", {}, {}, (2, 4, 6, 8, 10), (2, 4, 6, 8, 10), 1)
    net = wire(
        [source, rival, referee],
        [
            Synapses("in", "rival", "x", Pattern(("j",), ("j",))),
            Synapses("rival", "referee", "a", Pattern(("j",), ())),
            Synapses("referee", "rival", "veto", Pattern((), ("j",)), feedback=True),
        ],
        tables=[table],
    )
    done, _ = same(net, [0, 1, 2, 3], mode)
    assert done.processes == (6 if mode == "fine" else 3)


@pytest.mark.parametrize("mode", ["fine", "fused"])
def test_phases_and_loose_parts(same: Same, mode: str) -> None:
    """A value waits from one phase to the next; pointers nobody listens to tick along."""
    slots = 3
    source, table = entry([[5, -7], [11, 13], [-1, 2]], d=2)
    at = Population("at", "pointer", {"j": slots}, {"slots": slots}, (0,), (0,), 0)
    again = Population("again", "pointer", {"j": slots}, {"slots": slots}, (2,), (2,), 1)
    loose = Population("loose", "pointer", {"j": slots}, {"slots": slots}, (1,), (1,), 2)
    out = summer("out", 3, 1, d=2)
    net = wire(
        [source, at, again, loose, out],
        [Synapses("again", "out", "a", Written(("j", "d"), "in", "at", 13))],
        tables=[table],
        phases=((0, 2), (2, 4)),
    )
    done, _ = same(net, [2, 0, 1], mode)
    np.testing.assert_array_equal(done.payloads, [[-1, 2], [5, -7], [11, 13]])


@pytest.mark.parametrize("mode", ["fine", "fused"])
@pytest.mark.parametrize("limit", [63, 64, 8127, 1040319])
def test_keys_of_every_width_and_a_ring(same: Same, mode: str, limit: int) -> None:
    """Two heads k, two queries g of each, three slots; five tokens of the largest numbers."""
    ends = [limit, -limit, 0, limit // 2, -(limit // 3), min(63, limit), max(-64, -limit), 1]
    rng = np.random.default_rng(limit)
    source, table = entry(rng.choice(ends, (8, 4)), k=2, d=2)
    at = Population("at", "pointer", {"j": 3}, {"slots": 3}, (0,), (0,), 0)
    own = HostTable("own", "position", 0, InMemory(rng.integers(-2, 3, (8, 8)).astype(np.int32)))
    asked = Population("own", "input", {"k": 2, "g": 2, "d": 2}, {}, (0,), (0,), -1)
    query, scores = summer("query", 1, k=2, g=2, d=2), summer("scores", 2, k=2, g=2, j=3)
    out = summer("out", 3, 1, k=2, g=2, d=2)
    net = wire(
        [source, at, asked, query, scores, replace(out, params=SUM | {"low": -9, "high": 9})],
        [
            Synapses("own", "query", "a", Pattern(tuple("kgd"), tuple("kgd"))),
            Synapses("query", "scores", "a", Written(tuple("kjd"), "in", "at", limit)),
            Synapses("scores", "out", "a", Pattern(tuple("kgj"), tuple("kgd"))),
        ],
        tables=[table, own],
    )
    check(net)
    same(net, [0, 1, 2, 3, 4], mode)


def test_sums_int32_could_not_hold(same: Same) -> None:
    net = straight([[2**23 - 1] * 2], [[127, 127]])
    with pytest.raises(BackendError, match=r"in: sums of in -> out\.a may reach .* wraps.*fused"):
        runtime.run(net, np.array([0]), mode="fine")
    same(net, [0], "fused")


def test_sums_beyond_a_word() -> None:
    net = straight([[2**16] * 2], [[127, 127]])
    with pytest.raises(BackendError, match=r"sum into out\.a at token 0, step 1 .*24 bits"):
        runtime.run(net, np.array([0]), mode="fine")


@pytest.mark.parametrize("mode", ["fine", "fused"])
def test_a_model_that_raises(mode: str) -> None:
    """Lava would hang: the other processes wait for the dead one."""
    net = straight([[1, 2]], [[1, 1]])
    net.update("out", params={})
    started, mine = time.monotonic(), descendants()
    with pytest.raises(BackendError, match=r"of (out|layers 0 to 0): KeyError: 'cut'") as caught:
        runtime.run(net, np.array([0]), mode=mode, timeout=40)
    assert "Traceback" in str(caught.value.__cause__)
    assert "integrate.py" in str(caught.value.__cause__)
    assert time.monotonic() - started < 20
    assert descendants() == mine


def test_time_is_up() -> None:
    """In the midst of the run: nothing is left, neither processes nor shared memory."""
    net = straight([[1, 2]], [[1, 1]])
    net.context = 100_000
    mine, shared = descendants(), set(Path("/dev/shm").glob("psm_*"))
    with pytest.raises(BackendError, match=r"Lava did not finish 100000 tokens in 3 s \(fine\)"):
        runtime.run(net, np.zeros(net.context, np.int64), mode="fine", timeout=3)
    assert descendants() == mine
    assert set(Path("/dev/shm").glob("psm_*")) <= shared


def descendants() -> set[int]:
    """Living processes that share this one's session or came from it."""
    me = psutil.Process()
    command = me.cmdline()
    same = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == command]
    return {p.pid for p in same if p.create_time() >= me.create_time()}

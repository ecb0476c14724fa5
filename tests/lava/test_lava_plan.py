"""The parts of the Lava backend that need no Lava: matrices, shards, refusals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wiring import wire

from compiler.netlist.model import Dense, Gather, InMemory, Pattern, Population, Synapses
from hwsim.backends.lava import runtime
from hwsim.backends.lava.plan import choose, edges, shards
from hwsim.backends.lava.synapses import matrix, reach, shift
from hwsim.backends.step.stepper import Delivery
from las_neuro.errors import BackendError, PromptError

ROOT = Path(__file__).parents[2]


def pair(source: dict[str, int], target: dict[str, int], form: Any) -> Any:
    one = Population("one", "product", source, {}, (0,), (0,))
    two = Population("two", "product", target, {}, (1,), (1,))
    return wire([one, two], [Synapses("one", "two", "a", form)])


PATTERNS = [
    ({"h": 2, "j": 3, "d": 4}, {"h": 2, "j": 3}),
    ({"h": 2}, {"h": 2, "j": 3}),
    ({"j": 3}, {"h": 2, "j": 3, "d": 4}),
    ({"h": 2, "d": 4}, {"h": 2, "j": 3}),
    ({}, {"d": 4}),
    ({"d": 4}, {}),
    ({"d": 4}, {"d": 4}),
    ({}, {}),
]


@pytest.mark.parametrize(("source", "target"), PATTERNS)
@pytest.mark.parametrize("weight", [1, -3, 127, -128])
def test_a_matrix_carries_what_the_stepper_carries(
    source: dict[str, int], target: dict[str, int], weight: int
) -> None:
    pytest.importorskip("scipy")
    carries_the_same(pair(source, target, Pattern(tuple(source), tuple(target), weight)))


def test_gathers_and_dense_groups() -> None:
    pytest.importorskip("scipy")
    rng = np.random.default_rng(2)
    for _ in range(20):
        index = rng.integers(0, 5, 7).astype(np.int32)
        weight = rng.integers(-128, 128, 7).astype(np.int8)
        carries_the_same(pair({"d": 5}, {"e": 7}, Gather(index, weight)))
        weights = rng.integers(-128, 128, (7, 5)).astype(np.int8)
        carries_the_same(pair({"d": 5}, {"e": 7}, Dense(InMemory(weights))))
        bits = int(rng.integers(1, 8))
        weights = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (7, 5)).astype(np.int8)
        carries_the_same(pair({"d": 5}, {"e": 7}, Dense(InMemory(weights), bits)))


def carries_the_same(net: Any) -> None:
    """The shifted matrix, its sums shifted back, and within the bounds the sender checks."""
    (group,) = net.synapses
    weights = None
    if isinstance(group.form, Dense):
        weights = group.form.weights.load().astype(np.int64)
    one, two = net.populations["one"], net.populations["two"]
    payload = np.random.default_rng(3).integers(-1000, 1000, one.n)
    expected = Delivery(group, group.form, weights, one, two).carry(payload)
    shifted = matrix(net, group)
    assert shifted.dtype == np.int32
    assert abs(shifted).max() <= 256  # a byte and its sign
    np.testing.assert_array_equal((shifted @ payload) >> shift(group), expected)
    bound = reach(net, group, shifted)
    size = np.abs(payload)
    largest = int(np.abs(expected).max())
    assert largest <= min(bound.row * int(size.max()), bound.weight * int(size.sum()))


def test_a_pattern_too_heavy_for_a_byte() -> None:
    net = pair({"d": 2}, {"d": 2}, Pattern(("d",), ("d",), 200))
    with pytest.raises(BackendError, match=r"one -> two\.a: weights 200 .* 8 bits.*fused"):
        matrix(net, net.synapses[0])


def chain(layers: int) -> Any:
    populations = [
        Population(f"p{i}", "product", {"d": 1 + i % 3}, {}, (i,), (i,), i - 1)
        for i in range(layers)
    ]
    synapses = [
        Synapses(f"p{i}", f"p{i + 1}", "a", Pattern(("d",), ("d",))) for i in range(layers - 1)
    ]
    return wire(populations, synapses)


@pytest.mark.parametrize("layers", [1, 2, 59, 60, 61, 150])
def test_at_most_sixty_shards_of_neighbouring_layers(layers: int) -> None:
    net = chain(layers)
    parts = shards(net)
    assert len(parts) == min(60, layers)
    assert [name for part in parts for name in part] == list(net.populations)
    links = edges(net, parts)
    assert list(links) == [(i, i + 1) for i in range(len(parts) - 1)]
    assert all(names == [parts[a][-1]] for (a, _), names in links.items())


def test_auto_keeps_lava_comfortable() -> None:
    assert choose(chain(30), "auto") == "fine"
    assert choose(chain(31), "auto") == "fused"
    with pytest.raises(BackendError, match="mode 'quick' is unknown; help: use fine, fused"):
        choose(chain(2), "quick")


def test_no_lava(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "installed", lambda: False)
    with pytest.raises(BackendError, match=r"not installed.*pip install las-neuro\[lava\].*3\.10"):
        runtime.run(chain(2), np.array([0]))


@pytest.mark.lava
def test_tokens_are_checked() -> None:
    with pytest.raises(PromptError, match="9 tokens exceed the context of 8"):
        runtime.run(chain(2), np.zeros(9, np.int64))
    with pytest.raises(PromptError, match="at least one"):
        runtime.run(chain(2), np.zeros(0, np.int64))


def test_importing_the_backend_needs_neither_lava_nor_torch() -> None:
    code = (
        "import sys; sys.modules['lava'] = None; sys.modules['torch'] = None\n"
        "from hwsim.backends.lava.runtime import installed; print(installed())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "False"

"""Plain numbers in, plain numbers out: runs a kind for tests that compare with literals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from compiler.netlist.kinds import KINDS
from compiler.netlist.trains import Digits, Train, Volley

Make = Callable[[list[int]], Any]


class Sent(NamedTuple):
    """Payloads, a list each step, and what was counted on the way."""

    payloads: list[list[int]]
    clamps: int = 0
    wraps: int = 0


class Stepped(NamedTuple):
    """One step: what the compartments hold after it, and what they sent."""

    state: dict[str, list[int]]
    payload: list[int]
    clamps: int = 0
    wraps: int = 0


def numpy_ints(x: list[int]) -> Any:
    return np.array(x, np.int64)


def torch_ints(x: list[int]) -> Any:
    return torch.tensor(x, dtype=torch.int64)


LIBRARIES: tuple[Make, ...] = (numpy_ints, torch_ints)


def plain(x: Any) -> list[int]:
    """An array [n], or of one token, as a list; nothing but int64 travels."""
    assert str(x.dtype) in ("int64", "torch.int64"), f"payload or state of {x.dtype}"
    return list(x.reshape(-1).tolist())


def made(values: dict[str, Any], ints: Make) -> dict[str, Any]:
    """Lists as arrays; integers and tuples as they are."""
    return {key: ints(x) if isinstance(x, list) else x for key, x in values.items()}


def step(
    kind: str,
    params: dict[str, Any],
    k: int = 0,
    state: dict[str, list[int]] | None = None,
    **inputs: list[int],
) -> Stepped:
    """Step k of a kind, from a state to a state."""
    outcome = KINDS[kind].step(
        made(state or {}, numpy_ints), made(inputs, numpy_ints), made(params, numpy_ints), k
    )
    held = {word: plain(x) for word, x in outcome.state.items()}
    return Stepped(held, plain(outcome.payload), outcome.clamps, outcome.wraps)


def steps(kind: str, params: dict[str, Any], *inputs: dict[str, list[int]]) -> Sent:
    """Consecutive steps of a kind, the inputs of each given."""
    state: Any = {}
    payloads, clamps, wraps = [], 0, 0
    for k, arriving in enumerate(inputs):
        outcome = KINDS[kind].step(state, made(arriving, numpy_ints), made(params, numpy_ints), k)
        state = outcome.state
        payloads.append(plain(outcome.payload))
        clamps += outcome.clamps
        wraps += outcome.wraps
    return Sent(payloads, clamps, wraps)


def payloads(train: Train) -> list[list[int]]:
    """What a train sends at each of its own steps."""
    count = len(train.positions) if isinstance(train, Digits) else 1
    count = len(train.payloads) if isinstance(train, Volley) else count
    return [plain(train.at(k, count)) for k in range(count)]


def window(kind: str, params: dict[str, Any], **arrivals: Any) -> Sent:
    """One token's window, in numpy and in torch, which have to agree.

    An arrival is a list [n], or a list of those where a port has one total a segment.
    """
    swept = KINDS[kind].window
    assert swept is not None
    results = []
    for ints in LIBRARIES:

        def shaped(x: Any, ints: Make = ints) -> Any:
            nested = isinstance(x[0], list)
            return [shaped(one) for one in x] if nested else ints(x).reshape(1, 1, -1)

        came = {port: shaped(x) for port, x in arrivals.items()}
        answer = swept({}, came, made(params, ints))
        assert answer.state == {}
        assert answer.train is not None
        results.append(Sent(payloads(answer.train), answer.clamps, answer.wraps))
    assert results[0] == results[1], "numpy and torch disagree"
    return results[0]


def reply(kind: str, params: dict[str, Any], **inputs: list[int]) -> tuple[list[int], int]:
    """Payload and clamps of a kind that answers in one step, the same from step and window."""
    swept = window(kind, params, **inputs)
    assert steps(kind, params, inputs) == swept, "step and window disagree"
    assert swept.wraps == 0
    return swept.payloads[0], swept.clamps

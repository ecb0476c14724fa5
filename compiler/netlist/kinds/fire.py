"""fire: integrate-and-fire neurons, which encode a value by their own dynamics.

These are the neurons of published spiking language models, other than the positional digits of
`encode`.  Each is a choice of thresholds theta[t], resets reset[t] and spike values send[t] over T
steps.

    IF (FAS, arXiv 2502.04405)       drive 1: the value is added at every step; theta = reset
    GIF (SpikeLLM, 2407.04752)       level L: up to L thresholds (quanta) in one graded spike
    ternary count (SDLLM, 2604.16475; ST-BIF+, 2406.03470)   level 1, theta = reset = send = 1
    phase (LAS 2505.09659, few spikes 2002.00860)            theta, reset, send by step
    two's complement (Int2Spike, 2509.05276)   theta -1, reset = send = -2**(T-1) for the sign bit

The rescaled value is limited to [low, high]: these neurons saturate there.  Values above are
counted as clamps, those below too unless low = 0 (a rectifier).  A signed neuron fires for the
magnitude, and its spikes carry the sign.  In each step: add (drive), test, send, subtract.  A
`strict` neuron fires above the threshold and not at it; with a negative threshold, which is never
strict, a neuron fires at it and below.  A neuron with `level` quanta or more sends `most` of them:
`level` in the corrected form, level - 1 in SpikeLLM's published code, which thereby loses the top
codes.  `lift` multiplies a channel's spikes by 2**lift, so that channels of one population with
different steps share their synapses.  All spikes have the same weight at the receiver.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from compiler.netlist.faults import need
from compiler.netlist.kinds.kind import (
    Cost,
    Kind,
    Outcome,
    Port,
    Rescaling,
    State,
    WindowOutcome,
    Word,
)
from compiler.netlist.kinds.params import Param, Params
from compiler.netlist.kinds.spikes import SpikeCode, Spikes, signed_width
from compiler.netlist.kinds.timing import TRAIN, need_train
from compiler.netlist.trains import Volley
from las_neuro.integers import WORD_LIMIT, Array, Ints, amount, namespace, scale
from las_neuro.neurons.firing import quanta

if TYPE_CHECKING:
    from compiler.netlist.model import Population


def _start(x: Array, p: Params) -> tuple[Array, Array, int]:
    """Value in units of the potential, its sign, and the number of clamps."""
    xp = namespace(x)
    q = scale(x, p["multiplier"], p["shift"], 0)
    sign = xp.sign(q) if p["signed"] else q * 0 + 1
    value = xp.minimum(xp.maximum(q, p["low"] + q * 0), p["high"] + q * 0)
    clamps = amount(q > value) + amount((q < value) & ((p["low"] < 0) + q * 0 > 0))
    return (xp.abs(value) if p["signed"] else value), sign, clamps


def _fire(v: Array, sign: Array, p: Params, t: int) -> tuple[Array, Array]:
    """Potential after step t, and the payload sent in it."""
    count = quanta(v - p["strict"], int(p["theta"][t]), p["level"], p["most"])
    payload = (count * int(p["send"][t]) * sign) << p["lift"]
    return v - count * int(p["reset"][t]), payload


def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    """Wait `early` steps with the value; then fire once per step."""
    x, clamps, t = inputs["x"], 0, k - p["early"]
    if t < 0:
        return Outcome({"x": x + state.get("x", x * 0)}, x * 0)
    if t == 0:
        value, sign, clamps = _start(x + state.get("x", x * 0), p)
        v = value + p["offset"]
    else:
        value, sign, v = state["value"], state["sign"], state["v"] + p["drive"] * state["value"]
    v, payload = _fire(v, sign, p, t)
    return Outcome({"v": v, "value": value, "sign": sign}, payload, clamps)


def window(state: State, arrivals: Mapping[str, Any], p: Params) -> WindowOutcome:
    value, sign, clamps = _start(arrivals["x"], p)
    v, payloads = value + p["offset"], []
    for t in range(p["steps"]):
        if t:
            v = v + p["drive"] * value
        v, payload = _fire(v, sign, p, t)
        payloads.append(payload)
    return WindowOutcome(Volley(tuple(payloads)), {}, clamps)


def check(population: Population) -> None:
    """Check for one table entry per step, non-zero thresholds, and a potential within its word."""
    p, at = population.params, population.label
    need_train(population, "firings")
    tables = [len(p[key]) for key in ("theta", "reset", "send")]
    need(tables == [p["steps"]] * 3, at, f"tables of {tables} steps, not {p['steps']}")
    need(p["theta"].all(), at, "a threshold is 0")
    need(p["theta"].min() > 0 or not p["strict"], at, "is strict below 0")
    need(1 <= p["most"] <= p["level"], at, f"sends {p['most']} quanta of {p['level']}")
    need((p["low"] <= p["high"]).all(), at, "a range is empty")
    value = int(max(np.abs(p["low"]).max(), np.abs(p["high"]).max()))
    times = p["steps"] if p["drive"] else 1
    resets = _most_quanta(p) * int(np.abs(p["reset"]).sum())
    peak = value * times + int(np.abs(p["offset"]).max()) + resets
    need(peak <= WORD_LIMIT, at, f"its potential reaches {peak}")
    largest = _largest_payload(p)
    need(largest <= WORD_LIMIT, at, f"a spike of {largest}")


def _most_quanta(p: Params) -> int:
    """Most quanta of one step: `most` if the neuron has `level` or more, else all it has."""
    return max(int(p["most"]), int(p["level"]) - 1)


def _largest_payloads(p: Params) -> list[int]:
    """Largest |payload| of each step, before `lift`."""
    return [_most_quanta(p) * abs(int(send)) for send in p["send"]]


def _largest_payload(p: Params) -> int:
    """Largest |payload| of any step and channel."""
    return int(max(_largest_payloads(p)) << int(max(p["lift"])))


def _grain(p: Params) -> tuple[Any, Any]:
    """Potential of payload 1 as a fraction: the last threshold over value, drive and lift."""
    times = p["steps"] if p["drive"] else 1
    return p["theta"][-1], p["send"][-1] * times << p["lift"]


SPIKES = Spikes(
    graded=lambda p: _largest_payload(p) > 1,
    payload_bits=lambda p: signed_width(_largest_payload(p)),
    code=lambda p, sends: SpikeCode((0,) * sends),
    unit_payload=lambda p: np.int64(1) << p["lift"],
    volley=lambda p: sum(_largest_payloads(p)),
    grain=_grain,
)

KIND = Kind(
    "fire",
    "integrate and fire: spikes by thresholds, resets and spike values of each step",
    ports={"x": Port("latch")},
    state={
        "v": Word(24),
        "value": Word(24),
        "sign": Word(2),
        "x": Word(24, shares="value"),  # used until the value is limited, `value` from then on
    },
    params={
        "multiplier": Param(16, signed=True, per="compartment"),
        "shift": Param(6, per="compartment"),
        "offset": Param(24, signed=True, per="compartment"),
        "low": Param(24, signed=True, per="compartment"),
        "high": Param(24, signed=True, per="compartment"),
        "theta": Param(24, signed=True, per="table"),
        "reset": Param(24, signed=True, per="table"),
        "send": Param(16, signed=True, per="table"),
        "level": Param(8),
        "most": Param(8),
        "lift": Param(4, per="compartment"),
        "steps": Param(6),
        "early": Param(1),
        "drive": Param(1),
        "signed": Param(1),
        "strict": Param(1),
    },
    step=step,
    window=window,
    cost=lambda p: Cost(
        state_reads=3,
        state_writes=1,
        adds=2 + p["drive"],
        multiplies=2 * (p["level"] > 1),
        compares=1,
        lookups=3,
    ),
    timing=TRAIN,
    spikes=SPIKES,
    rescaling=Rescaling("multiplier", "shift"),
    check=check,
)

"""fire: integrate and fire; a value becomes spikes by a neuron's own dynamics, a quantum a spike.

The neurons of published spiking language models that `encode`'s positional digits are not: each is
a choice of thresholds theta[t], resets reset[t] and spike values send[t] over T steps.

    IF (FAS, arXiv 2502.04405)       drive 1: the value is added at every step; theta = reset
    GIF (SpikeLLM, 2407.04752)       level L: up to L quanta in one graded spike
    ternary count (SDLLM, 2604.16475; ST-BIF+, 2406.03470)   level 1, theta = reset = send = 1
    phase (LAS 2505.09659, few spikes 2002.00860)            theta, reset, send by step
    two's complement (Int2Spike, 2509.05276)   theta -1, reset = send = -2**(T-1) for the sign bit

The value, rescaled, is limited to [low, high]: these neurons saturate there.  What is lost above is
counted; below too, but for low = 0, a rectifier.  A neuron with signs fires for the magnitude and
its spikes carry the sign.  In each step: add (drive), test, send, subtract.  `strict` fires above
the threshold and not at it; a negative threshold, never strict, fires at it and below.  A neuron
that has `level` quanta or more sends `most` of them: `level` in the corrected form, level - 1 in
SpikeLLM's published code, which so loses the top codes.  `lift` multiplies a channel's spikes by
2**lift: two groups of channels of one population so share their synapses in spite of different
steps.  Receivers add spikes up, whatever the step.
"""

from collections.abc import Mapping
from typing import Any

from compiler.netlist.arrays import Array, Ints, amount, namespace, scale
from compiler.netlist.kinds.kind import Cost, Kind, Outcome, Params, State, Swept
from compiler.netlist.trains import Volley


def _start(x: Array, p: Params) -> tuple[Array, Array, int]:
    """Value in potential units, sign, and how many values were beyond the neuron's range."""
    xp = namespace(x)
    q = scale(x, p["multiplier"], p["shift"], 0)
    sign = xp.sign(q) if p["signed"] else q * 0 + 1
    held = xp.minimum(xp.maximum(q, p["low"] + q * 0), p["high"] + q * 0)
    lost = amount(q > held) + amount((q < held) & ((p["low"] < 0) + q * 0 > 0))
    return (xp.abs(held) if p["signed"] else held), sign, lost


def _fire(v: Array, sign: Array, p: Params, t: int) -> tuple[Array, Array]:
    """Potential after step t, and the payload sent."""
    xp = namespace(v)
    theta, level = int(p["theta"][t]), p["level"]
    quanta = (v - p["strict"]) // theta
    quanta = xp.where(quanta >= level, quanta * 0 + p["most"], xp.clip(quanta, 0, None))
    sent = (quanta * int(p["send"][t]) * sign) << p["lift"]
    return v - quanta * int(p["reset"][t]), sent


def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    """Wait `early` steps for the value; then one firing a step."""
    x, lost, t = inputs["x"], 0, k - p["early"]
    if t < 0:
        return Outcome({"x": x + state.get("x", x * 0)}, x * 0)
    if t == 0:
        value, sign, lost = _start(x + state.get("x", x * 0), p)
        v = value + p["offset"]
    else:
        value, sign, v = state["value"], state["sign"], state["v"] + p["drive"] * state["value"]
    v, sent = _fire(v, sign, p, t)
    return Outcome({"v": v, "value": value, "sign": sign}, sent, lost)


def window(state: State, arrivals: Mapping[str, Any], p: Params) -> Swept:
    value, sign, lost = _start(arrivals["x"], p)
    v, sent = value + p["offset"], []
    for t in range(p["steps"]):
        if t:
            v = v + p["drive"] * value
        v, payload = _fire(v, sign, p, t)
        sent.append(payload)
    return Swept(Volley(tuple(sent)), {}, lost)


def most_quanta(p: Params) -> int:
    """Of one step: `most` from `level` on, and below it as many as there are."""
    return max(int(p["most"]), int(p["level"]) - 1)


def largest_sent(p: Params) -> list[int]:
    """Largest |payload| of each step, before `lift`."""
    return [most_quanta(p) * abs(int(send)) for send in p["send"]]


def largest_payload(p: Params) -> int:
    """Largest |payload| of any step and channel."""
    return int(max(largest_sent(p)) << int(max(p["lift"])))


KIND = Kind(
    "fire",
    "integrate and fire: spikes by thresholds, resets and spike values of each step",
    ports={"x": "latch"},
    state={"v": 24, "value": 24, "sign": 2},
    params={
        "multiplier": 16,
        "shift": 6,
        "offset": 24,
        "low": 24,
        "high": 24,
        "theta": 24,
        "reset": 24,
        "send": 16,
        "level": 8,
        "most": 8,
        "lift": 4,
        "steps": 6,
        "early": 1,
        "drive": 1,
        "signed": 1,
        "strict": 1,
    },
    step=step,
    window=window,
    cost=Cost(state_reads=3, state_writes=1, adds=2, compares=1, lookups=3),
    tables=("theta", "reset", "send"),
    graded=False,
    extra=lambda p: Cost(multiplies=2 * (p["level"] > 1), adds=p["drive"]),
)

"""encode: OAT spike encoder, a value becomes a train of digits sent by two sub-neurons.

LAS (arXiv 2505.09659, section on OAT neurons): |x| below the normal threshold is coded by the
normal sub-neuron, above it whole by the outlier sub-neuron; signs travel with the spikes.  Here the
outlier threshold is 2**k times the normal one, so both share the synapses and an outlier's spikes
carry the payload 2**k.  The code is rounded to nearest (LAS rounds down and drops exact grid points
by one unit) and sent least significant digit first, so that the receiver can halve instead of
overflow.  Values beyond the last threshold are clamped and counted.

Three forms of the same `digits` binary digits of precision (las_neuro.neurons.codes):

    binary        a digit a step
    signed-digit  -1, 0 or 1 a step, no two neighbours set: the non-adjacent form (Reitwiesner 1960)
    graded        digit_bits binary digits a step as one payload; the last step takes what is left

A channel that skips its s lowest digits (the time steps a channel of SpikeLLM is spared, arXiv
2407.04752) is coded like any other, in steps of 2**s units.
"""

from collections.abc import Mapping
from typing import Any

from compiler.netlist.arrays import Array, Ints, amount, namespace, saturate, scale, shift_right
from compiler.netlist.kinds.kind import Cost, Kind, Outcome, Params, State, Swept
from compiler.netlist.trains import Digits


def largest(p: Params) -> int:
    """Largest magnitude the digits give; neighbours cannot both be set in the non-adjacent form."""
    return int(2 ** (p["digits"] + 1) // 3 if p["signed_digit"] else 2 ** p["digits"] - 1)


def _code(x: Array, p: Params) -> tuple[Array, Array, int]:
    """Magnitude; payload of its digit 1 (sign, times 2**k for outliers); clamps."""
    xp = namespace(x)
    q = scale(x, p["multiplier"], p["shift"], 0)
    size, payload, top, skipped = xp.abs(q), xp.sign(q), largest(p), p["skipped"]
    skips = amount(skipped) > 0
    magnitude = size
    if skips:
        magnitude, top = shift_right(size, skipped), top >> skipped
    if p["outlier_shift"]:
        outlier = (magnitude > top) & (p["outliers"] != 0)
        payload = payload << (outlier * p["outlier_shift"])
        whole = shift_right(size, p["outlier_shift"] + (skipped if skips else 0))
        magnitude = xp.where(outlier, whole, magnitude)
    if not skips:
        magnitude, clamps = saturate(magnitude, 0, top)
        return magnitude, payload, clamps
    beyond = magnitude > top
    return xp.where(beyond, top, magnitude) << skipped, payload, amount(beyond)


def _digit(rest: Array, p: Params) -> tuple[Array, Array]:
    """The lowest digit, and what the digits above it add up to."""
    if not p["signed_digit"]:
        return rest & (2 ** p["digit_bits"] - 1), rest >> p["digit_bits"]
    digit = (rest & 1) * (2 - (rest & 3))  # ..01 sends 1, ..11 sends -1 and carries
    return digit, (rest - digit) >> 1


def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    """Wait `early` steps for the start; then fix the code, send a digit a step, keep the rest."""
    x, clamps = inputs["x"], 0
    if k < p["early"]:
        return Outcome({"x": x + state.get("x", x * 0)}, x * 0)
    if k == p["early"]:
        rest, payload, clamps = _code(x + state.get("x", x * 0), p)
    else:
        rest, payload = state["rest"], state["payload"]
    digit, rest = _digit(rest, p)
    return Outcome({"rest": rest, "payload": payload}, digit * payload, clamps)


def window(state: State, arrivals: Mapping[str, Any], p: Params) -> Swept:
    magnitude, payload, clamps = _code(arrivals["x"], p)
    minus = None
    if p["signed_digit"]:  # digits of m in non-adjacent form: (3m - m) / 2, bit by bit
        thrice = 3 * magnitude
        magnitude, minus = (thrice & ~magnitude) >> 1, (magnitude & ~thrice) >> 1
    positions, top = tuple(range(0, p["digits"], p["digit_bits"])), 1 << p["outlier_shift"]
    return Swept(Digits(magnitude, payload, positions, top, p["digit_bits"], minus), {}, clamps)


KIND = Kind(
    "encode",
    "a value becomes spikes of its digits, least significant first",
    ports={"x": "latch"},
    state={"rest": 24, "payload": 9},
    params={
        "multiplier": 16,
        "shift": 6,
        "digits": 5,
        "digit_bits": 4,
        "signed_digit": 1,
        "skipped": 5,
        "steps": 5,
        "early": 1,
        "outlier_shift": 4,
        "outliers": 1,
    },
    step=step,
    window=window,
    cost=Cost(state_reads=2, state_writes=2, multiplies=1, compares=2, shifts=2),
    graded=False,
    extra=lambda p: Cost(adds=2 * p["signed_digit"]),  # the digit, and the carry
)

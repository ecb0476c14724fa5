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

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from compiler.netlist.faults import need
from compiler.netlist.kinds.kind import Cost, Kind, Outcome, Port, Rescaling, State, Swept, Word
from compiler.netlist.kinds.params import Param, Params
from compiler.netlist.kinds.spikes import SpikeCode, Spikes
from compiler.netlist.kinds.timing import TRAIN, need_train
from compiler.netlist.trains import Digits
from las_neuro.integers import WORD_BITS, Array, Ints, scale
from las_neuro.neurons.codes import coded, largest_magnitude

if TYPE_CHECKING:
    from compiler.netlist.model import Population

MOST_DIGIT_BITS = 8  # of one graded spike


def _magnitude(x: Array, p: Params) -> tuple[Array, Array, int]:
    """Magnitude; payload of its digit 1 (sign, times 2**k for outliers); clamps."""
    q = scale(x, p["multiplier"], p["shift"], 0)
    top = largest_magnitude("signed-digit" if p["signed_digit"] else "binary", p["digits"])
    return coded(q, top, p["outlier_shift"], p["outliers"], p["skipped"])


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
        rest, payload, clamps = _magnitude(x + state.get("x", x * 0), p)
    else:
        rest, payload = state["rest"], state["payload"]
    digit, rest = _digit(rest, p)
    return Outcome({"rest": rest, "payload": payload}, digit * payload, clamps)


def window(state: State, arrivals: Mapping[str, Any], p: Params) -> Swept:
    magnitude, payload, clamps = _magnitude(arrivals["x"], p)
    minus = None
    if p["signed_digit"]:  # digits of m in non-adjacent form: (3m - m) / 2, bit by bit
        thrice = 3 * magnitude
        magnitude, minus = (thrice & ~magnitude) >> 1, (magnitude & ~thrice) >> 1
    positions, top = tuple(range(0, p["digits"], p["digit_bits"])), 1 << p["outlier_shift"]
    return Swept(Digits(magnitude, payload, positions, top, p["digit_bits"], minus), {}, clamps)


def check(population: Population) -> None:
    """Spikes for all digits, digits of a form that exists, payloads that fit their word."""
    p, at = population.params, population.called
    need_train(population, "digits")
    width, digits = p["digit_bits"], p["digits"]
    need(1 <= width <= MOST_DIGIT_BITS, at, f"{width} binary digits in a spike")
    need(digits < WORD_BITS, at, f"{digits} digits and a sign in {WORD_BITS} bits")
    need(width == 1 or not p["signed_digit"], at, "signed digits are sent one by one")
    need(p["steps"] == -(-digits // width), at, f"{p['steps']} spikes for {digits} digits")
    need(p["skipped"].max() < digits, at, f"skips {p['skipped'].max()} of {digits} digits")
    payload = 1 << p["outlier_shift"]
    need(payload <= PAYLOAD.range[1], at, f"an outlier's payload of {payload}")


def _code(p: Params, sends: int) -> SpikeCode:
    digits, width = p["digits"], p["digit_bits"]
    positions = tuple(range(0, digits, width))
    return SpikeCode(positions, tuple(min(width, digits - low) for low in positions))


PAYLOAD = Word(9)
SPIKES = Spikes(
    graded=lambda p: bool(p["digit_bits"] > 1),
    payload_bits=lambda p: int(1 + p["digit_bits"] + p["outlier_shift"]),
    code=_code,
    unit_payload=lambda p: np.where(p["outliers"] != 0, 1 << p["outlier_shift"], 1),
    grain=lambda p: (1, 1),
)

KIND = Kind(
    "encode",
    "a value becomes spikes of its digits, least significant first",
    ports={"x": Port("latch")},
    state={
        "rest": Word(24),
        "payload": PAYLOAD,
        "x": Word(24, shares="rest"),  # alive until the code is fixed, `rest` from then on
    },
    params={
        "multiplier": Param(16, signed=True, per="compartment"),
        "shift": Param(6, per="compartment"),
        "digits": Param(5),
        "digit_bits": Param(4),
        "signed_digit": Param(1),
        "skipped": Param(5, per="compartment"),
        "steps": Param(5),
        "early": Param(1),
        "outlier_shift": Param(4),
        "outliers": Param(1, per="compartment"),
    },
    step=step,
    window=window,
    cost=lambda p: Cost(
        state_reads=2,
        state_writes=2,
        adds=2 * p["signed_digit"],  # the digit, and the carry
        multiplies=1,
        compares=2,
        shifts=2,
    ),
    timing=TRAIN,
    spikes=SPIKES,
    rescaling=Rescaling("multiplier", "shift"),
    check=check,
)

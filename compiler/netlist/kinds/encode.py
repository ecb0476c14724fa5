"""encode: OAT spike encoder, which sends a value as a train of digits.

LAS (arXiv 2505.09659, section on OAT neurons): |x| below the normal threshold is coded by the
normal sub-neuron, above it entirely by the outlier sub-neuron; spikes carry the sign.  Here the
outlier threshold is 2**k times the normal one, so both share the synapses, and an outlier's spikes
have the payload 2**k.  The code is rounded to nearest (LAS rounds down, and lowers exact grid
points by one unit).  The least significant digit is sent first, so that the receiver can halve its
sum instead of overflowing.  Values beyond the last threshold are clamped and counted.

Three forms of the same `digits` binary digits of precision (las_neuro.neurons.codes):

    binary        one digit per step
    signed-digit  -1, 0 or 1 per step, never two neighbours non-zero: the non-adjacent form
                  (Reitwiesner 1960)
    graded        digit_bits binary digits per step as one payload; the last step has the remainder

The multiplier may take a factor of the model with it (a norm's gain); payloads then stand for the
product, and `gain / 2**gain_shift` tells readers of the netlist that factor.

A channel that skips its s lowest digits (like the channels of SpikeLLM with fewer time steps, arXiv
2407.04752) is coded in steps of 2**s units.
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
    """The lowest digit, and the number that the digits above it represent."""
    if not p["signed_digit"]:
        return rest & (2 ** p["digit_bits"] - 1), rest >> p["digit_bits"]
    digit = (rest & 1) * (2 - (rest & 3))  # ..01 sends 1, ..11 sends -1 and carries
    return digit, (rest - digit) >> 1


def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    """Wait `early` steps with the value; then set the code and send one digit per step."""
    x, clamps = inputs["x"], 0
    if k < p["early"]:
        return Outcome({"x": x + state.get("x", x * 0)}, x * 0)
    if k == p["early"]:
        rest, payload, clamps = _magnitude(x + state.get("x", x * 0), p)
    else:
        rest, payload = state["rest"], state["payload"]
    digit, rest = _digit(rest, p)
    return Outcome({"rest": rest, "payload": payload}, digit * payload, clamps)


def window(state: State, arrivals: Mapping[str, Any], p: Params) -> WindowOutcome:
    magnitude, payload, clamps = _magnitude(arrivals["x"], p)
    minus = None
    if p["signed_digit"]:  # digits of m in non-adjacent form: (3m - m) / 2, bit by bit
        thrice = 3 * magnitude
        magnitude, minus = (thrice & ~magnitude) >> 1, (magnitude & ~thrice) >> 1
    positions, top = tuple(range(0, p["digits"], p["digit_bits"])), 1 << p["outlier_shift"]
    return WindowOutcome(
        Digits(magnitude, payload, positions, top, p["digit_bits"], minus), {}, clamps
    )


def check(population: Population) -> None:
    """Check that spikes cover all digits, that the form exists and that payloads fit their word."""
    p, at = population.params, population.label
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
    grain=lambda p: (p.get("gain", 1), 1 << p.get("gain_shift", 0)),
)

KIND = Kind(
    "encode",
    "a value becomes spikes of its digits, least significant first",
    ports={"x": Port("latch")},
    state={
        "rest": Word(24),
        "payload": PAYLOAD,
        "x": Word(24, shares="rest"),  # used until the code is set, `rest` from then on
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
        "gain": Param(16, signed=True, per="compartment", chip=False),
        "gain_shift": Param(6, per="compartment", chip=False),
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
    rescaling=Rescaling("multiplier", "shift", gain="gain", gain_shift="gain_shift"),
    check=check,
)

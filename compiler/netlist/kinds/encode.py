"""encode: OAT spike encoder, a value becomes T binary spikes of two sub-neurons.

LAS (arXiv 2505.09659, section on OAT neurons): |x| below the normal threshold is coded by the
normal sub-neuron, above it whole by the outlier sub-neuron; signs travel with the spikes.  Here the
outlier threshold is 2**k times the normal one, so both share the synapses and an outlier's spikes
carry the payload 2**k.  The code is rounded to nearest (LAS rounds down and drops exact grid points
by one unit) and sent least significant digit first, so that the receiver can halve instead of
overflow.  Values beyond the last threshold are clamped and counted.
"""

from collections.abc import Mapping
from typing import Any

from compiler.netlist.arrays import Array, Ints, namespace, saturate, scale, shift_right
from compiler.netlist.kinds.kind import Cost, Kind, Outcome, Params, State, Swept
from compiler.netlist.trains import Digits


def _code(x: Array, p: Params) -> tuple[Array, Array, int]:
    """Magnitude of T bits; payload of its spikes (sign, times 2**k for outliers); clamps."""
    xp = namespace(x)
    q = scale(x, p["multiplier"], p["shift"], 0)
    magnitude, payload, top = xp.abs(q), xp.sign(q), 2 ** p["steps"] - 1
    if p["outlier_shift"]:
        outlier = (magnitude > top) & (p["outliers"] != 0)
        payload = payload << (outlier * p["outlier_shift"])
        magnitude = xp.where(outlier, shift_right(magnitude, p["outlier_shift"]), magnitude)
    magnitude, clamps = saturate(magnitude, 0, top)
    return magnitude, payload, clamps


def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    """Wait `early` steps for the start; then fix the code, send a digit a step, halve the rest."""
    x, clamps = inputs["x"], 0
    if k < p["early"]:
        return Outcome({"x": x + state.get("x", x * 0)}, x * 0)
    if k == p["early"]:
        rest, payload, clamps = _code(x + state.get("x", x * 0), p)
    else:
        rest, payload = state["rest"], state["payload"]
    sent = (rest & 1) * payload
    return Outcome({"rest": rest >> 1, "payload": payload}, sent, clamps)


def window(state: State, arrivals: Mapping[str, Any], p: Params) -> Swept:
    magnitude, payload, clamps = _code(arrivals["x"], p)
    positions, largest = tuple(range(p["steps"])), 1 << p["outlier_shift"]
    return Swept(Digits(magnitude, payload, positions, largest), {}, clamps)


KIND = Kind(
    "encode",
    "a value becomes T binary spikes, least significant first",
    ports={"x": "latch"},
    state={"rest": 24, "payload": 9},
    params={
        "multiplier": 16,
        "shift": 6,
        "steps": 5,
        "early": 1,
        "outlier_shift": 4,
        "outliers": 1,
    },
    step=step,
    window=window,
    cost=Cost(state_reads=2, state_writes=2, multiplies=1, compares=2, shifts=2),
    graded=False,
)

"""integrate: add the weighted spikes of a window, rescale the sum, send one graded value.

It receives all positional spike codes and all other sums.  Step k counts 2**shift[k].  At the few
steps where cut[k] > 0 the state is first divided by 2**cut[k], which keeps sums of long codes
within 24 bits: rounded down, and at the last cut to nearest.  Nested floors equal one floor, so all
cuts together round the exact sum once.  Between two cuts all is linear, so the fast engine computes
these steps at once.  At the last step the state is multiplied by the compartment's own multiplier
(weight scale, threshold ratio), the bias is added, and the result is limited to [low, high].  A
result below low counts as a clamp unless low is 0 (a rectifier).  A gated compartment sends only
if an enable spike has arrived.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from compiler.netlist.kinds.spikes import Spikes, signed_width
from compiler.netlist.kinds.timing import Steps, Timing
from compiler.netlist.trains import Graded
from las_neuro.integers import (
    Array,
    Ints,
    amount,
    namespace,
    saturate,
    scale,
    shift_right,
    wrap,
)

if TYPE_CHECKING:
    from compiler.netlist.model import Population
    from compiler.netlist.timetable import Timetable


def _send(u: Array, enabled: Array | None, p: Params) -> tuple[Array, int]:
    xp = namespace(u)
    y = scale(u, p["multiplier"], p["divide"], p["bias"])
    if p["low"] == 0:
        y = xp.clip(y, 0, None)
    if p["gated"]:  # a silent compartment gets `low` here, so that it does not count as a clamp
        silent = enabled == 0
        y, clamps = saturate(xp.where(silent, p["low"], y), p["low"], p["high"])
        return xp.where(silent, 0, y), clamps
    return saturate(y, p["low"], p["high"])


def _cut(u: Array, cut: Sequence[int], k: int) -> Array:
    return u >> cut[k] if any(cut[k + 1 :]) else shift_right(u, cut[k])


def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    """Cut, add, wrap; at the last step rescale and send.  `turns` only counts wraps."""
    a = inputs["a"]
    u, turns = state.get("u", a * 0), state.get("turns", a * 0)
    enabled = state.get("enabled", a * 0) + inputs.get("enable", a * 0)
    wraps = 0
    if p["cut"][k]:
        wraps += amount(turns)
        u, turns = _cut(u, p["cut"], k), turns * 0
    u, turn = wrap(u + (a << p["shift"][k]))
    turns = turns + turn
    if k < len(p["shift"]) - 1:
        return Outcome({"u": u, "turns": turns, "enabled": enabled}, a * 0, 0, wraps)
    payload, clamps = _send(u, enabled, p)
    return Outcome({}, payload, clamps, wraps + amount(turns))


def window(state: State, arrivals: Mapping[str, Any], p: Params) -> WindowOutcome:
    u, wraps = None, 0
    starts = [lo for lo, _ in segments(p)]
    for lo, total in zip(starts, arrivals["a"], strict=True):
        u = total if u is None else _cut(u, p["cut"], lo) + total
        if not p["safe"]:  # sums that are proven to fit cannot wrap
            u, turns = wrap(u)
            wraps += amount(turns)
    payload, clamps = _send(u, arrivals.get("enable"), p)
    return WindowOutcome(Graded(payload), {}, clamps, wraps)


def segments(p: Params) -> list[tuple[int, int]]:
    """Ranges of steps between cuts."""
    starts = [0, *np.flatnonzero(p["cut"]).tolist()]
    return list(zip(starts, [*starts[1:], len(p["shift"])], strict=True))


def check(population: Population) -> None:
    p, at = population.params, population.label
    need(p["low"] <= p["high"], at, f"low {p['low']} over high {p['high']}")
    need(p["cut"][0] == 0, at, "cuts before anything came")


def _steps(table: Timetable, population: Population) -> Steps:
    """The steps at which digits arrive; ValueError (a bug) where an enable arrives at another."""
    steps = table.arrivals(population.name, "a")
    outside = set(table.arrivals(population.name, "enable")) - set(steps)
    if outside:
        raise ValueError(f"{population.name}: enable at {outside}, window {steps[0]}..{steps[-1]}")
    return steps


def _payload_bits(p: Params) -> int:
    return signed_width(max(abs(int(p["low"])), abs(int(p["high"]))))


KIND = Kind(
    "integrate",
    "weighted sum of a window, rescaled, sent as one graded value",
    ports={"a": Port("sum"), "enable": Port("latch", needed=False, needed_if="gated")},
    state={"u": Word(24), "enabled": Word(1, signed=False, only="gated")},
    simulation_only=("turns",),
    params={
        "shift": Param(5, per="step"),
        "cut": Param(5, per="step"),
        "multiplier": Param(16, signed=True, per="compartment"),
        "divide": Param(6, per="compartment"),
        "bias": Param(24, signed=True, per="compartment"),
        "low": Param(24, signed=True),
        "high": Param(24, signed=True),
        "gated": Param(1),
        "safe": Param(1),
    },
    step=step,
    window=window,
    cost=lambda p: Cost(state_reads=1, state_writes=1, adds=1, shifts=1),
    timing=Timing(_steps),
    spikes=Spikes(payload_bits=_payload_bits),
    rescaling=Rescaling("multiplier", "divide", bias="bias"),
    segments=segments,
    check=check,
)

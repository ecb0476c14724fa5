"""first_spike: the first spike that differs between two runs, or why runs cannot be compared.

Both runs get a sequence in pieces where that is possible, so that few spikes are in memory at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from compiler.netlist.model import Netlist
from hwsim.backends import find
from hwsim.backends.backend import RUN_SECONDS
from hwsim.backends.traces import Difference, Trace, first_difference

TRACED = 16  # tokens whose spikes are compared where no node's value differs


def spikes_beside(
    nets: tuple[Netlist, Netlist],
    backends: tuple[str, str],
    feeds: Sequence[Sequence[int]],
    timeout: float = RUN_SECONDS,
) -> dict[str, Any]:
    """The first spike that differs between two runs of one sequence.

    feeds: the sequence's tokens, in pieces.  Only the spikes of one piece are in memory at once,
    unless a backend or the netlist needs the whole sequence.
    Returns `why`, the reason why spikes cannot be compared one by one, or None; `difference`, or
    None where all are equal; and of a comparison the numbers of `tokens` and `spikes` compared.
    """
    why = unlike(*nets)
    if why is not None:
        return {"why": why, "difference": None}
    traces = [Trace(net) for net in nets]
    engines = [find(name) for name in backends]
    sessions = [
        engine.open(net, on_spike=trace.spike, timeout=timeout)
        for net, engine, trace in zip(nets, engines, traces, strict=True)
    ]
    whole = not nets[0].causal or not all(engine.limits.pieces for engine in engines)
    first: Difference | None = None
    spikes = done = 0
    for tokens in [list(chain(*feeds))] if whole else feeds:
        for trace, session in zip(traces, sessions, strict=True):
            trace.payloads = {}
            session.feed(np.array([tokens], np.int64))
        spikes += traces[0].spikes
        done += len(tokens)
        first = first_difference(*traces)
        if first is not None:
            break
    difference = None if first is None else vars(first) | {"text": str(first)}
    return {"why": None, "tokens": done, "spikes": spikes, "difference": difference}


def unlike(one: Netlist, two: Netlist) -> str | None:
    """Why the spikes of two netlists cannot be compared one by one; None where they can."""
    mine, theirs = one.populations, two.populations
    removed, new = [n for n in mine if n not in theirs], [n for n in theirs if n not in mine]
    if removed or new:
        return (
            f"{len(removed)} populations are only in the first and {len(new)} only in the second, "
            f"such as {(removed + new)[0]}"
        )
    for name, a in mine.items():
        b = theirs[name]
        for what, x, y in (
            ("kind", a.kind, b.kind),
            ("axes", list(a.axes.items()), list(b.axes.items())),
            ("time steps", (a.steps, a.sends), (b.steps, b.sends)),
        ):
            if x != y:
                return f"{name} has other {what} in the second"
    return None

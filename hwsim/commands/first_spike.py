"""first_spike: the first spike on which two netlists' runs differ, or why they cannot be compared.

Both are fed one token at a time where that is possible, so that no more than a token's spikes are
held.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from compiler.netlist.model import Netlist
from hwsim.backends.traces import Difference, Trace, first_difference
from hwsim.generate import open_session

TRACED = 16  # tokens whose every spike is compared where no node's value differs


def spikes_beside(
    nets: tuple[Netlist, Netlist], backends: tuple[str, str], tokens: list[int], timeout: float
) -> dict[str, Any]:
    """The first spike on which two runs differ, one token traced at a time where that is possible.

    `why` says why spikes cannot be compared one by one; else `tokens` and `spikes` how many were.
    """
    why = unlike(*nets)
    if why is not None:
        return {"why": why, "difference": None}
    traces = [Trace(net) for net in nets]
    sessions = [
        open_session(net, name, trace, timeout)
        for net, name, trace in zip(nets, backends, traces, strict=True)
    ]
    whole = "lava" in backends or not nets[0].causal
    found: Difference | None = None
    spikes = done = 0
    for fed in [tokens] if whole else [[token] for token in tokens]:
        for trace, session in zip(traces, sessions, strict=True):
            trace.payloads = {}
            session.feed(fed)
        spikes += _amount(traces[0])
        done += len(fed)
        found = first_difference(*traces)
        if found is not None:
            break
    difference = None if found is None else vars(found) | {"text": str(found)}
    return {"why": None, "tokens": done, "spikes": spikes, "difference": difference}


def unlike(one: Netlist, two: Netlist) -> str | None:
    """Why the spikes of two netlists cannot be compared one by one; None where they can."""
    mine, theirs = one.populations, two.populations
    lost, new = [n for n in mine if n not in theirs], [n for n in theirs if n not in mine]
    if lost or new:
        return (
            f"{len(lost)} populations are only in the first and {len(new)} only in the second, "
            f"such as {(lost + new)[0]}"
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


def _amount(trace: Trace) -> int:
    sent = (payload for steps in trace.payloads.values() for payload in steps.values())
    return sum(int(np.count_nonzero(payload)) for payload in sent)

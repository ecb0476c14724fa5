"""backend: what can run a netlist, as commands and measurements see it.

A backend is a folder beside this file that exports `BACKEND`, a `Backend` of the folder's name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from compiler.netlist.model import Netlist, Population
from hwsim.backends.counters import Counters
from las_neuro.integers import Ints
from las_neuro.rows import Rows

Spike = Callable[[str, int, int, Ints], None]  # population, token, step, payload [n]
Value = Callable[[Population, Ints, int], None]  # population, sums [B, S, *axes], first token

RUN_SECONDS = 600.0  # time-out of one run, where a backend has one


@dataclass(frozen=True)
class Limits:
    """What a backend can take."""

    batches: bool  # several sequences at once; else B is 1
    pieces: bool  # a token fed later costs itself alone; else the whole sequence runs again
    timed: bool  # a run can take so long that it needs a time-out


class Session(Protocol):
    """One netlist on one backend, fed one batch of sequences after the other."""

    @property
    def counters(self) -> Counters:
        """Counts of all tokens so far, over all sequences."""

    def reset(self) -> None:
        """Forget the sequences: the next tokens are first ones."""

    def feed(self, rows: Rows) -> Ints:
        """The next tokens [B, S], or patches [B, S, pixels]; the output's payloads [B, S, n].

        An encoder's sequences come whole.  Raises `PromptError` where a sequence exceeds the
        netlist's context, `BackendError` where the run fails or takes too long.
        """


class Backend(Protocol):
    """A way to run netlists; every backend gives the same spikes."""

    @property
    def name(self) -> str:
        """That of the folder, and of the command line."""

    @property
    def description(self) -> str:
        """A few words for the command line's help."""

    @property
    def limits(self) -> Limits: ...

    def check(self) -> None:
        """Raise `BackendError`, with a remedy, where this machine cannot run the backend."""

    def open(
        self,
        net: Netlist,
        *,
        count: bool = False,
        on_spike: Spike | None = None,
        on_value: Value | None = None,
        timeout: float = RUN_SECONDS,
    ) -> Session:
        """A session of a netlist; nothing runs yet.

        count: spikes and updates are to be counted too, not clamps and wraps alone.
        on_spike: gets every spike of batch entry 0; a silent step may be left out.
        on_value: gets each population of a role in `hwsim.backends.values.READ` after each feed or
        part of it: the sums of its payloads, each times 2**position of its code.  An axis along
        which all are equal may have size 1, and the axis of slots may lack those not used yet.
        timeout: most seconds of a run, for a backend whose limits say that it is timed.
        """


def splits(rows: Rows, *limits: Limits) -> Sequence[Rows]:
    """Rows [B, S] as batches that every backend of these limits takes."""
    if all(limit.batches for limit in limits):
        return [rows]
    return [rows[i : i + 1] for i in range(len(rows))]


def run_whole(session: Session, limits: Limits, rows: Rows) -> Ints:
    """Output payloads [B, S, n] of sequences [B, S] that are run from their start."""
    outputs = []
    for some in splits(rows, limits):
        session.reset()
        outputs.append(session.feed(some))
    return np.concatenate(outputs) if len(outputs) > 1 else outputs[0]

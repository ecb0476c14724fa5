"""backend: the interface of all backends, through which commands and measurements run netlists.

A backend is a folder beside this file that exports `BACKEND`, a `Backend` with the folder's name.
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

RUN_SECONDS = 600.0  # default time-out of one run, for backends that have one
BUG = "this is a bug: report it with the netlist"  # remedy where an engine is at fault


@dataclass(frozen=True)
class Limits:
    """Abilities of a backend."""

    batches: bool  # it runs several sequences at once; else B must be 1
    pieces: bool  # it continues a sequence; else every feed runs the whole sequence again
    timed: bool  # its runs can take so long that they need a time-out


class Session(Protocol):
    """One netlist on one backend, which runs one batch of sequences after the other."""

    @property
    def counters(self) -> Counters:
        """Counts of all tokens so far, over all sequences."""

    def reset(self) -> None:
        """Start new sequences: the next tokens are their first."""

    def feed(self, rows: Rows) -> Ints:
        """Run the next tokens [B, S], or patches [B, S, pixels]; returns output payloads [B, S, n].

        An encoder gets whole sequences.  Raises `PromptError` where a sequence exceeds the
        netlist's context, `BackendError` where the run fails or takes too long.
        """


class Backend(Protocol):
    """A way to run netlists; every backend gives the same spikes."""

    @property
    def name(self) -> str:
        """Name of the folder, and on the command line."""

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

        count: count spikes and updates too, not only clamps and wraps.
        on_spike: called with every spike of batch entry 0; steps without spikes may be left out.
        on_value: called after each feed, or after parts of it, for each population of a role in
        `hwsim.backends.values.READ`, with the sums of its payloads, each times 2**position of its
        code.  An axis along which all values are equal may have size 1, and the axis of slots may
        end at the last one used so far.
        timeout: most seconds of a run, for a backend whose `limits.timed` is true.
        """


def splits(rows: Rows, *limits: Limits) -> Sequence[Rows]:
    """Rows [B, S] as batches that all backends with these limits can run."""
    if all(limit.batches for limit in limits):
        return [rows]
    return [rows[i : i + 1] for i in range(len(rows))]


def run_whole(session: Session, limits: Limits, rows: Rows) -> Ints:
    """Output payloads [B, S, n] of whole sequences [B, S]; the session is reset before."""
    outputs = []
    for batch in splits(rows, limits):
        session.reset()
        outputs.append(session.feed(batch))
    return np.concatenate(outputs) if len(outputs) > 1 else outputs[0]

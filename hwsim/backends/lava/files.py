"""Files that Lava's processes write: the spikes of each population, or a failure.

Lava transfers its variables one number at a time (24 us each), so the process models write files
instead.
"""

from __future__ import annotations

import json
import os
import traceback
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compiler.netlist.model import Netlist
from hwsim.backends.backend import Spike
from hwsim.backends.counters import Counters
from hwsim.backends.lava.cell import Cell, Tick, in_word, ticks
from las_neuro.errors import BackendError, LasError
from las_neuro.integers import Ints

BUG = "this is a bug: report it with the traceback, and use the stepper meanwhile"


@dataclass(frozen=True)
class Failure:
    """The error that stopped a process."""

    where: str
    what: str
    remedy: str
    trace: str

    def error(self) -> BackendError:
        return BackendError(f"{self.where}: {self.what}", self.remedy)


def write_spikes(folder: Path, index: int, cell: Cell, output: bool) -> None:
    """Write a population's spikes and counts; index: its number in the netlist.

    output: whether it is the netlist's output, whose last payload of each token is written too.
    """
    n = cell.population.n
    np.savez(
        folder / f"{index}.npz",
        at=np.array(list(cell.payloads), np.int64).reshape(-1, 2),
        payload=np.array(list(cell.payloads.values()), np.int32).reshape(-1, n),
        spikes=cell.spikes,
        counts=np.array([cell.clamps, cell.wraps], np.int64),
        last=np.array(list(cell.last) if output else [], np.int64),
        read=np.array(list(cell.last.values()) if output else [], np.int32).reshape(-1, n),
    )


def read_spikes(
    folder: Path, net: Netlist, tokens: int, on_spike: Spike | None
) -> tuple[Ints, Counters]:
    """Output payloads [tokens, n] and counters; `on_spike` is called in order of time.

    Raises BackendError where a population's file is missing or a number does not fit its word.
    """
    output = np.zeros((tokens, net.populations[net.output].n), np.int64)
    counters = Counters.of(net)
    counters.add_tokens(net, tokens, sequences=1)
    order = {tick: i for i, tick in enumerate(ticks(net, tokens))}
    spikes: list[tuple[int, int, str, Tick, Ints]] = []
    for index, name in enumerate(net.populations):
        path = folder / f"{index}.npz"
        if not path.is_file():
            raise BackendError(f"Lava ended without the spikes of {name}", BUG)
        with np.load(path) as record:
            count = counters.populations[name]
            count.spikes += record["spikes"]
            count.clamps, count.wraps = (int(x) for x in record["counts"])
            if name == net.output:
                output[record["last"]] = in_word(record["read"], f"output of {name}")
            payloads = in_word(record["payload"], f"payload of {name}")
            for (token, step), payload in zip(record["at"].tolist(), payloads, strict=True):
                spikes.append((order[token, step], index, name, (token, step), payload))
    if on_spike is not None:
        for _, _, name, (token, step), payload in sorted(spikes, key=lambda spike: spike[:2]):
            on_spike(name, token, step, payload)
    return output, counters


def write_failure(folder: Path, where: str, error: Exception) -> None:
    """Write an error for the parent process, which polls for such a file.

    Must be called while `error` is being handled, for its traceback.
    """
    what, remedy = f"{type(error).__name__}: {error}", BUG
    if isinstance(error, LasError):
        what, remedy = error.what, error.remedy
    fields = {"where": where, "what": what, "remedy": remedy, "trace": traceback.format_exc()}
    draft = folder / f"failure-{os.getpid()}.draft"
    draft.write_text(json.dumps(fields), "utf-8")
    draft.rename(draft.with_suffix(".json"))


def read_failure(folder: Path) -> Failure | None:
    """The earliest failure in the folder, or None."""
    failures = sorted(folder.glob("failure-*.json"), key=lambda path: path.stat().st_mtime_ns)
    return Failure(**json.loads(failures[0].read_text("utf-8"))) if failures else None

"""What Lava's processes leave behind: a file of spikes for each population, or one of the failure.

Lava moves its variables one number at a time (24 us each), so the models write files themselves.
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
    """What stopped a process."""

    where: str
    what: str
    remedy: str
    trace: str

    def error(self) -> BackendError:
        return BackendError(f"{self.where}: {self.what}", self.remedy)


def write_spikes(folder: Path, index: int, cell: Cell, output: bool) -> None:
    """All of a population's run; index: its number in the netlist."""
    n = cell.population.n
    np.savez(
        folder / f"{index}.npz",
        at=np.array(list(cell.sent), np.int64).reshape(-1, 2),
        payload=np.array(list(cell.sent.values()), np.int32).reshape(-1, n),
        spikes=cell.spikes,
        counts=np.array([cell.clamps, cell.wraps], np.int64),
        last=np.array(list(cell.last) if output else [], np.int64),
        read=np.array(list(cell.last.values()) if output else [], np.int32).reshape(-1, n),
    )


def read_spikes(
    folder: Path, net: Netlist, tokens: int, on_spike: Spike | None
) -> tuple[Ints, Counters]:
    """Output payloads [tokens, n] and counters; spikes go to `on_spike` in the order of time."""
    output = np.zeros((tokens, net.populations[net.output].n), np.int64)
    counters = Counters.of(net)
    counters.add_tokens(net, tokens, sequences=1)
    order = {tick: i for i, tick in enumerate(ticks(net, tokens))}
    spikes: list[tuple[int, int, str, Tick, Ints]] = []
    for index, name in enumerate(net.populations):
        path = folder / f"{index}.npz"
        if not path.is_file():
            raise BackendError(f"Lava ended without the spikes of {name}", BUG)
        with np.load(path) as recorded:
            count = counters.populations[name]
            count.spikes += recorded["spikes"]
            count.clamps, count.wraps = (int(x) for x in recorded["counts"])
            if name == net.output:
                output[recorded["last"]] = in_word(recorded["read"], f"output of {name}")
            payloads = in_word(recorded["payload"], f"payload of {name}")
            for (token, step), payload in zip(recorded["at"].tolist(), payloads, strict=True):
                spikes.append((order[token, step], index, name, (token, step), payload))
    if on_spike is not None:
        for _, _, name, (token, step), payload in sorted(spikes, key=lambda spike: spike[:2]):
            on_spike(name, token, step, payload)
    return output, counters


def write_failure(folder: Path, where: str, error: Exception) -> None:
    """For the parent, which polls for such a file; to be called while `error` is handled."""
    what, remedy = f"{type(error).__name__}: {error}", BUG
    if isinstance(error, LasError):
        what, remedy = error.what, error.remedy
    said = {"where": where, "what": what, "remedy": remedy, "trace": traceback.format_exc()}
    draft = folder / f"failure-{os.getpid()}.draft"
    draft.write_text(json.dumps(said), "utf-8")
    draft.rename(draft.with_suffix(".json"))


def read_failure(folder: Path) -> Failure | None:
    """The first failure there is."""
    failures = sorted(folder.glob("failure-*.json"), key=lambda path: path.stat().st_mtime_ns)
    return Failure(**json.loads(failures[0].read_text("utf-8"))) if failures else None

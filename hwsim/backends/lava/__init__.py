"""Lava's CPU simulator as a backend: the same spikes as the stepper's, from an independent runtime.

    trace = Trace(net)
    run(net, tokens, on_spike=trace.spike).payloads     # [count, n] of the output

Importing this needs no Lava; `run` says what is missing.  Lava (lava-nc 0.10.0) is slow: about
0.2 ms a process and time step, so it serves for proofs on short runs, not for measuring models.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.model import Netlist
from hwsim.backends.counters import Counters
from hwsim.backends.host import Host
from hwsim.backends.lava.child import watch
from hwsim.backends.lava.files import Spike, read_spikes
from hwsim.backends.lava.plan import Job, check_machine, choose
from las_neuro.errors import BackendError, PromptError
from las_neuro.integers import Ints
from las_neuro.rows import Rows

__all__ = ["LavaRun", "installed", "run"]


@dataclass(frozen=True)
class LavaRun:
    """What a run gave."""

    payloads: Ints  # [count, n] of the output population
    counters: Counters
    mode: str  # fine or fused
    processes: int  # Lava processes, without its own runtime service
    seconds: float


def installed() -> bool:
    """Whether Lava is there (not: whether it works)."""
    try:
        return importlib.util.find_spec("lava.magma") is not None
    except ModuleNotFoundError:
        return False


def run(
    net: Netlist,
    tokens: Rows,
    *,
    mode: str = "auto",
    on_spike: Spike | None = None,
    timeout: float = 600.0,
) -> LavaRun:
    """Feed tokens [count] (patches [count, pixels]) of one new sequence to the netlist inside Lava.

    mode: "fine", a Lava process for each population and synapse group; "fused", one for each layer;
    "auto": fine up to 60 processes.  on_spike(population, token, step, payload) gets every spike
    after the run, in order.  Raises `BackendError` if Lava is absent, fails or takes too long.
    """
    if not installed() or not hasattr(os, "fork"):
        raise BackendError(
            "Lava is not installed here",
            "pip install las-neuro[lava], with Python 3.10 on Linux or macOS",
        )
    if not len(tokens):
        raise PromptError("no tokens to run", "give at least one token")
    mode = choose(net, mode)
    processes = check_machine(net, mode)
    host = Host(net)
    host.check(len(tokens))
    rows = {name: found[0].astype(np.int64) for name, found in _rows(host, tokens).items()}
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="las_lava_") as folder:
        job = Job(net, len(tokens), rows, mode, on_spike is not None, Path(folder))
        watch(job, timeout)
        payloads, counters = read_spikes(job.folder, net, len(tokens), on_spike)
    return LavaRun(payloads, counters, mode, processes, time.monotonic() - started)


def _rows(host: Host, tokens: Rows) -> dict[str, NDArray[np.int32]]:
    return host.inject_all(tokens[None], 0)

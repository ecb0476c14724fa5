"""runtime: one sequence on Lava's CPU simulator.

    trace = Trace(net)
    run(net, tokens, on_spike=trace.spike).payloads     # [count, n] of the output

Importing this module needs no Lava; `run` raises an error where it is missing.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compiler.netlist.model import Netlist
from hwsim.backends.backend import Spike
from hwsim.backends.counters import Counters
from hwsim.backends.host import Host
from hwsim.backends.lava.child import watch
from hwsim.backends.lava.files import read_spikes
from hwsim.backends.lava.plan import Job, check_machine, choose
from las_neuro.errors import BackendError, PromptError
from las_neuro.integers import Ints
from las_neuro.rows import Rows


@dataclass(frozen=True)
class LavaRun:
    """Result of a run."""

    payloads: Ints  # [count, n] of the output population
    counters: Counters
    mode: str  # fine or fused
    processes: int  # Lava processes, without its own runtime service
    seconds: float


def installed() -> bool:
    """Whether Lava is installed; not whether it works."""
    try:
        return importlib.util.find_spec("lava.magma") is not None
    except ModuleNotFoundError:
        return False


def check_installed() -> None:
    """Raise `BackendError` where Lava is not installed, or the system cannot fork processes."""
    if not installed() or not hasattr(os, "fork"):
        raise BackendError(
            "Lava is not installed here",
            "pip install las-neuro[lava] with Python 3.10 on Linux or macOS, or use the backend"
            " step",
        )


def run(
    net: Netlist,
    tokens: Rows,
    *,
    mode: str = "auto",
    on_spike: Spike | None = None,
    timeout: float = 600.0,
) -> LavaRun:
    """Run tokens [count] (or patches [count, pixels]) of one new sequence on a netlist in Lava.

    mode: "fine", a Lava process for each population and synapse group; "fused", one for each layer;
    "auto": fine up to 60 processes.  on_spike(population, token, step, payload [n]) is called for
    every spike after the run, in order of time.  timeout: in seconds.
    Raises `BackendError` if Lava is absent, fails or takes too long; PromptError for no tokens or
    more than the context.
    """
    check_installed()
    if not len(tokens):
        raise PromptError("no tokens to run", "give at least one token")
    mode = choose(net, mode)
    processes = check_machine(net, mode)
    host = Host(net)
    host.check(len(tokens))
    rows = {
        name: payloads[0].astype(np.int64)
        for name, payloads in host.inject_all(tokens[None], 0).items()
    }
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="las_lava_") as folder:
        job = Job(net, len(tokens), rows, mode, on_spike is not None, Path(folder))
        watch(job, timeout)
        payloads, counters = read_spikes(job.folder, net, len(tokens), on_spike)
    return LavaRun(payloads, counters, mode, processes, time.monotonic() - started)

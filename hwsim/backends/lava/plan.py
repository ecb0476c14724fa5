"""Plan of a netlist's Lava processes, fine or fused, and the machine's resources they need.

Lava runs every process as an OS process, with two threads per channel end and a barrier in every
step: 0.2 ms per process and step up to about 60 processes, twice that from 130 on.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from compiler.netlist.model import Netlist, Written
from hwsim.backends.lava.written import blocks, taps
from las_neuro.errors import BackendError
from las_neuro.integers import Ints

COMFORTABLE = 60  # processes
SLOTS = 4  # messages that a channel holds; Lava's default of 64 would fill /dev/shm
FILES = 16  # file descriptors per process in the parent: 10 measured, and its data channels
MODES = ("fine", "fused")


@dataclass(frozen=True)
class Job:
    """One run in Lava."""

    net: Netlist
    tokens: int
    rows: dict[str, Ints]  # injected payloads [tokens, n] by input population
    mode: str
    keep: bool  # whether every spike is written
    folder: Path


def choose(net: Netlist, mode: str) -> str:
    """One of `MODES`; "auto" is fine up to `COMFORTABLE` processes.

    Raises BackendError for an unknown mode.
    """
    if mode == "auto":
        return "fine" if fine_processes(net) <= COMFORTABLE else "fused"
    if mode not in MODES:
        raise BackendError(f"mode '{mode}' is unknown", "use fine, fused or auto")
    return mode


def fine_processes(net: Netlist) -> int:
    connections = (
        sum(1 for _ in blocks(group, net)) * group.form.slices
        if isinstance(group.form, Written)
        else 1
        for group in net.synapses
    )
    return len(net.populations) + sum(connections)


def shards(net: Netlist, most: int = COMFORTABLE) -> list[list[str]]:
    """Names of populations by layer; neighbouring layers share a shard if there are over `most`."""
    layers = sorted({population.layer for population in net.populations.values()})
    parts = min(most, len(layers))
    bounds = [len(layers) * i // parts for i in range(parts + 1)]
    place = {layer: i for i, (a, b) in enumerate(pairwise(bounds)) for layer in layers[a:b]}
    shard_names: list[list[str]] = [[] for _ in range(parts)]
    for name, population in net.populations.items():
        shard_names[place[population.layer]].append(name)
    return shard_names


def edges(net: Netlist, parts: list[list[str]]) -> dict[tuple[int, int], list[str]]:
    """(from, to) -> populations of shard `from` whose spikes shard `to` needs, in netlist order."""
    place = {name: i for i, part in enumerate(parts) for name in part}
    order = {name: i for i, name in enumerate(net.populations)}
    sources: dict[tuple[int, int], set[str]] = {}
    for group in net.synapses:
        form = group.form
        writers = (form.value, form.pointer) if isinstance(form, Written) else ()
        for name in (group.source, *writers):
            ends = place[name], place[group.target]
            if ends[0] != ends[1]:
                sources.setdefault(ends, set()).add(name)
    return {ends: sorted(sources[ends], key=order.__getitem__) for ends in sorted(sources)}


def check_machine(net: Netlist, mode: str) -> int:
    """The number of processes of a run.

    Raises BackendError where shared memory or open files would not suffice: Lava would hang, or
    fail without a clear message.
    """
    size = {name: population.n for name, population in net.populations.items()}
    if mode == "fine":
        processes = fine_processes(net)
        words = [size[name] for group in net.synapses for name in (group.source, group.target)]
        words += [len(tap.compartments) for outputs in taps(net).values() for tap in outputs]
    else:
        parts = shards(net)
        processes = len(parts)
        words = [size[name] for names in edges(net, parts).values() for name in names]
    pages = 4096 * (2 * processes + len(words)) * 2
    needed = 4 * SLOTS * int(np.sum(words, dtype=np.int64)) + pages
    shared = Path("/dev/shm")
    if shared.is_dir() and (free := shutil.disk_usage(shared).free) < needed:
        raise BackendError(
            f"Lava needs {needed >> 20} MiB of shared memory and /dev/shm has {free >> 20}",
            "use mode='fused', or give the container more (docker run --shm-size)",
        )
    _allow_files(200 + FILES * processes)
    return processes


def _allow_files(needed: int) -> None:
    """Raise BackendError where fewer files can be open at once (the child raises its limit)."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (-1, resource.RLIM_INFINITY) and hard < needed:
        raise BackendError(
            f"Lava needs {needed} open files and the limit is {hard}",
            "raise it (ulimit -Hn) or use mode='fused'",
        )

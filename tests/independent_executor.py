"""Reads and runs a netlist by docs/netlist.md alone; shares no line with the project.

Slow and literal: section numbers are those of the page.  It exists to show that the page is enough.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from independent_kinds import WORD, Population, Values, size

# Section 1: the file


def read(path: Path) -> tuple[Values, dict[str, np.ndarray]]:
    """The structure and the datasets by place."""
    raw = path.read_bytes()
    magic, name, version, algorithm, digest = raw[: raw.index(b"\n")].decode("ascii").split(" ")
    assert (magic, name, version, algorithm) == ("las_neuro", "netlist", "4", "sha256")
    assert not raw[raw.index(b"\n") + 1 : 512].strip(b"\0")
    assert hashlib.sha256(raw[512:]).hexdigest() == digest
    arrays: dict[str, np.ndarray] = {}
    with h5py.File(path, "r") as file:
        assert file.attrs["format"] == "las_neuro netlist"
        assert file.attrs["version"] == 4
        file.visititems(
            lambda place, item: arrays.update({place: item[()]} if hasattr(item, "dtype") else {})
        )
    return json.loads(arrays.pop("structure").tobytes().decode("utf-8")), arrays


# Section 4: synapses


def unpacked(held: np.ndarray, shape: list[int], bits: int) -> np.ndarray:
    if bits >= 5:
        return held.astype(np.int64)
    each, (rows, columns) = 8 // bits, shape
    byte = held.astype(np.int64) & 255
    weights = np.zeros((rows, columns), np.int64)
    for j in range(columns):
        field = (byte[:, j // each] >> bits * (j % each)) & (2**bits - 1)
        weights[:, j] = np.where(field >= 2 ** (bits - 1), field - 2**bits, field)
    return weights


class Group:
    """One group of synapses."""

    def __init__(self, net: Values, index: int, arrays: dict[str, np.ndarray]) -> None:
        group = net["synapses"][index]
        self.source, self.target, self.port = group["source"], group["target"], group["port"]
        self.here = net["populations"][self.source]["axes"]
        self.there = net["populations"][self.target]["axes"]
        self.form, place = group["form"], f"synapses/{index}/form"
        if "weights" in self.form:
            self.weights = unpacked(
                arrays[f"{place}/weights"], self.form["weights"]["shape"], self.form["bits"]
            )
        elif "index" in self.form:
            self.index = arrays[f"{place}/index"]
            self.weight = arrays[f"{place}/weight"].astype(np.int64)
        elif "pointer" in self.form:
            self.sizes = {**net["populations"][self.form["value"]]["axes"]}
            self.sizes["j"] = size(net["populations"][self.form["pointer"]]["axes"])

    def reset(self) -> None:
        """The content of written synapses at the start of a sequence."""
        if "pointer" in self.form:
            shape = [self.sizes[axis] for axis in self.form["axes"]]
            self.content = np.zeros(shape, np.int64)

    def write(self, slots: np.ndarray, value: np.ndarray) -> None:
        """Payloads of the pointer and of the value, of one step."""
        assert np.abs(value).max() <= self.form["limit"]
        by_slot = np.moveaxis(self.content, self.form["axes"].index("j"), 0)
        for slot in np.flatnonzero(slots):
            by_slot[slot] = value.reshape(by_slot.shape[1:])

    def carry(self, sent: np.ndarray) -> np.ndarray:
        if "weights" in self.form:
            return self.weights @ sent
        if "index" in self.form:
            return self.weight * sent[self.index]
        if "pointer" in self.form:
            return self.read(sent)
        lacking = tuple(i for i, axis in enumerate(self.here) if axis not in self.there)
        total = sent.reshape(tuple(self.here.values())).sum(axis=lacking)
        return self.copied(total, self.here) * self.form["weight"]

    def copied(self, total: np.ndarray, axes: Any) -> np.ndarray:
        """total, along those of these axes that the target has, copied along its other axes."""
        shape = [count if axis in axes else 1 for axis, count in self.there.items()]
        return np.broadcast_to(total.reshape(shape), tuple(self.there.values())).reshape(-1)

    def read(self, sent: np.ndarray) -> np.ndarray:
        """What arrives through written synapses."""
        names = {axis: chr(97 + i) for i, axis in enumerate({**self.here, **self.sizes})}
        kept = [axis for axis in self.there if axis in names]
        a, b, c = ("".join(names[x] for x in axes) for axes in (self.here, self.form["axes"], kept))
        total = np.einsum(f"{a},{b}->{c}", sent.reshape(tuple(self.here.values())), self.content)
        return self.copied(total, names)

    def slices(self) -> int:
        most, n = 63, 1
        while most < self.form["limit"]:
            most, n = most + 63 * 2 ** (7 * n), n + 1
        return n

    def fan_out(self) -> np.ndarray:
        n = size(self.here)
        if "weights" in self.form:
            return np.full(n, size(self.there))
        if "index" in self.form:
            return np.array([(self.index == j).sum() for j in range(n)])
        copies = size({a: c for a, c in self.there.items() if a not in self.here})
        return np.full(n, copies * self.slices() if "pointer" in self.form else copies)


# Sections 5, 6, 8 and 10: running


class Executor:
    """A netlist that runs; `sent` lists every spike as (population, token, step, payloads)."""

    def __init__(self, path: Path) -> None:
        self.net, arrays = read(path)
        self.populations = {
            name: Population(name, population, arrays)
            for name, population in self.net["populations"].items()
        }
        self.groups = [Group(self.net, i, arrays) for i in range(len(self.net["synapses"]))]
        self.rows = [arrays[f"tables/{i}/rows"] for i in range(len(self.net["tables"]))]
        self.sent: dict[tuple[str, int, int], np.ndarray] = {}
        self.tokens = 0

    def host(self, token: Any, position: int) -> dict[str, np.ndarray]:
        injected = {}
        for table, rows in zip(self.net["tables"], self.rows, strict=True):
            name, source, offset = table["population"], table["source"], table["offset"]
            if source == "patch":
                unit = self.net["populations"][name]["unit"]
                values = np.rint(np.asarray(token, np.float64) / unit)
            else:
                row = {"token": token, "position": position, "type": 0}[source] + offset
                values = rows[row]
            injected[name] = np.clip(values, -WORD, WORD).astype(np.int64)
        return injected

    def run(self, tokens: Any) -> np.ndarray:
        """Payloads of the output [tokens, n] of one sequence."""
        output = self.net["output"]
        read = np.zeros((len(tokens), self.populations[output].n), np.int64)
        for one in [*self.populations.values(), *self.groups]:
            one.reset()
        for first, stop in self.net["phases"]:
            for i, token in enumerate(tokens):
                injected = self.host(token, i)
                arriving: dict[str, dict[str, np.ndarray]] = {}
                for t in range(first, stop):
                    arriving = self.one_step(t, i, arriving, injected)
                    if (output, i, t) in self.sent:
                        read[i] = self.sent[output, i, t]
                assert not arriving
        self.tokens += len(tokens)
        return read

    def one_step(
        self, t: int, i: int, heard: dict[str, dict[str, np.ndarray]], injected: Values
    ) -> dict[str, dict[str, np.ndarray]]:
        sent = {}
        for name, one in self.populations.items():
            if t not in one.steps:
                assert name not in heard
                continue
            ports = {"host": injected[name]} if one.kind == "input" else heard.get(name, {})
            payload = one.step(ports, one.steps.index(t))
            if t in one.sends and payload.any():
                sent[name] = self.sent[name, i, t] = payload
        arriving: dict[str, dict[str, np.ndarray]] = {}
        for group in self.groups:
            if group.source in sent:
                ports = arriving.setdefault(group.target, {})
                carried = group.carry(sent[group.source])
                ports[group.port] = ports.get(group.port, 0) + carried
        for group in self.groups:
            if group.form.get("pointer") in sent:
                value = self.populations[group.form["value"]]
                group.write(sent[group.form["pointer"]], sent.get(value.name, value.zero))
        return arriving

    def events(self) -> list[int]:
        """Synaptic events by group."""
        return [int(self.populations[g.source].spikes @ g.fan_out()) for g in self.groups]

    def writes(self) -> list[int]:
        """Synapse writes by written group."""
        written = [g for g in self.groups if "pointer" in g.form]
        return [self.tokens * self.populations[g.form["value"]].n * g.slices() for g in written]

    def updates(self, name: str) -> tuple[int, int]:
        """Updates, and idle updates."""
        one, period = self.populations[name], self.net["phases"][-1][1]
        return (
            one.n * len(one.steps) * self.tokens,
            one.n * (period - len(one.steps)) * self.tokens,
        )

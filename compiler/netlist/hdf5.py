"""The netlist file: one line that says what it is, then HDF5; same netlist, same bytes.

The first 512 bytes are HDF5's user block: "las_neuro netlist VERSION sha256 DIGEST", the digest of
all that follows, so a damaged file is refused before the HDF5 library parses any of it.  Inside:

    structure                    JSON text: everything that is not an array of numbers
    params/POPULATION/PARAMETER  arrays too long for the text, in the narrowest integer that fits
    weights/GROUP                int8 [n_post, n_pre] of dense synapse group number GROUP
    gather/GROUP/index, weight   int32 [n], int8 [n]
    tables/POPULATION            int32 [rows, n], what the host injects
    placement/tiles, blocks      int64 [count, 4], [count, 6]
    tokenizer                    tokenizer.json

Arrays lie there plain: int8 weights hardly compress, and two zlibs would give different bytes.  Each
matrix is made, written and dropped before the next, and read again only when asked for.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from compiler.netlist.check import check
from compiler.netlist.model import (
    Block,
    Dense,
    Form,
    Gather,
    HostTable,
    Netlist,
    Pattern,
    Placement,
    Population,
    Synapses,
    Tile,
)
from las_neuro.errors import NetlistError, OutputError

VERSION = 1
FORMAT = "las_neuro netlist"
HEADER_BYTES = 512  # HDF5's smallest user block
HEADER = re.compile(FORMAT.encode() + rb" (\d{1,9}) sha256 ([0-9a-f]{64})\n\0*")
INLINE = 16  # longest array kept in the JSON text
MOST_STEPS = 1 << 22  # of all populations together; 100 times the largest model's
AGAIN = "compile the model again (las-compile), or fetch the file again"
REMEDIES = {
    errno.ENOSPC: "free some space, or write to another disk",
    errno.EDQUOT: "free some of your quota, or write to another disk",
    errno.EFBIG: "write to a disk that takes files of this size",
    errno.EACCES: "choose a folder you may write to",
    errno.EPERM: "choose a folder you may write to",
    errno.EROFS: "choose a folder on a disk that is not read-only",
    errno.ENOENT: "create the folder first",
    errno.ENOTDIR: "name a file inside a folder",
    errno.EISDIR: "name a file, not a folder",
}

Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Count = Annotated[int, Field(ge=0, lt=2**48)]
Runs = list[tuple[Count, Count, Count]]  # first step, how many, how far apart
Arrays = dict[str, NDArray[Any]]


class Strict(BaseModel):
    """A part of the JSON text: nothing missing, nothing more, no real number for an integer."""

    model_config = ConfigDict(strict=True, extra="forbid")


class ShortArray(Strict):
    array: list[Int64]


class LongArray(Strict):
    dtype: Literal["int8", "int16", "int32", "int64"]
    length: Count


class DenseText(Strict):
    dense: tuple[Count, Count]


class PatternText(Strict):
    pattern: tuple[tuple[str, ...], tuple[str, ...]]
    weight: Int64


class GatherText(Strict):
    gather: Count


class PopulationText(Strict):
    name: str
    kind: str
    axes: list[tuple[str, Count]]
    params: dict[str, Int64 | list[Int64] | ShortArray | LongArray]
    steps: Runs
    sends: Runs
    layer: Int64
    unit: FiniteFloat
    node: str


class SynapsesText(Strict):
    source: str
    target: str
    port: str
    form: DenseText | PatternText | GatherText
    feedback: bool


class TableText(Strict):
    population: str
    source: str
    offset: Int64
    shape: tuple[Count, Count]


class PlacementText(Strict):
    target: str
    cores: Count
    cores_per_chip: Count
    mesh_width: Count
    tiles: Count
    blocks: Count


class Structure(Strict):
    """The JSON text; it declares every array of the file, and no other is ever opened."""

    family: str
    causal: bool
    context: Count
    vocabulary: Count
    output: str
    output_kind: str
    phases: list[tuple[Count, Count]]
    populations: list[PopulationText]
    synapses: list[SynapsesText]
    tables: list[TableText]
    placement: PlacementText | None
    tokenizer: Count | None  # bytes
    provenance: dict[str, Any]

    def arrays(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Path -> element type and shape of every array beside this text."""
        found: dict[str, tuple[str, tuple[int, ...]]] = {}
        for population in self.populations:
            for key, value in population.params.items():
                if isinstance(value, LongArray):
                    found[f"params/{population.name}/{key}"] = (value.dtype, (value.length,))
        for i, group in enumerate(self.synapses):
            if isinstance(group.form, DenseText):
                found[f"weights/{i}"] = ("int8", group.form.dense)
            elif isinstance(group.form, GatherText):
                found[f"gather/{i}/index"] = ("int32", (group.form.gather,))
                found[f"gather/{i}/weight"] = ("int8", (group.form.gather,))
        for table in self.tables:
            found[f"tables/{table.population}"] = ("int32", table.shape)
        if self.placement:
            found["placement/tiles"] = ("int64", (self.placement.tiles, 4))
            found["placement/blocks"] = ("int64", (self.placement.blocks, 6))
        if self.tokenizer is not None:
            found["tokenizer"] = ("uint8", (self.tokenizer,))
        return found


def save(net: Netlist, path: Path | str) -> None:
    """Write a netlist to `path`, whole or not at all; raises OutputError, or NetlistError for a net
    that `load` would refuse.
    """
    path = Path(path)
    check(net)
    structure, arrays = _structure(net)
    text = json.dumps(structure.model_dump(), allow_nan=False, separators=(",", ":"))
    with _replacing(path) as temporary:
        with h5py.File(
            temporary, "w", libver=("earliest", "v110"), userblock_size=HEADER_BYTES, locking=False
        ) as file:
            file.attrs["format"], file.attrs["version"] = FORMAT, VERSION
            _put(file, "structure", np.frombuffer(text.encode(), np.uint8))
            for name, (dtype, shape) in structure.arrays().items():
                array = arrays[name] if name in arrays else _made(net, name)
                if array.shape != shape:
                    raise NetlistError(f"{name} is {array.shape}, not {shape}", "report this bug")
                _put(file, name, array.astype(dtype, casting="same_kind", copy=False))
                del array  # one matrix at a time
        with open(temporary, "r+b") as raw:
            raw.seek(HEADER_BYTES)
            digest = _digest(raw)
            raw.seek(0)
            raw.write(f"{FORMAT} {VERSION} sha256 {digest}\n".encode())
            raw.flush()
            os.fsync(raw.fileno())


def load(path: Path | str) -> Netlist:
    """Read and check a netlist; dense weights and host tables stay in the file until asked for.

    Raises NetlistError for anything that `save` would not have written.
    """
    path = Path(path)
    with _reading(path):
        version, digest = _header(path)
        if version != VERSION:
            raise NetlistError(
                f"{path}: netlist version {version}; this las_neuro reads version {VERSION}",
                "upgrade las_neuro, or compile the model again with this one",
            )
        with open(path, "rb") as raw:
            raw.seek(HEADER_BYTES)
            if _digest(raw) != digest:
                raise NetlistError(f"{path}: truncated or damaged (sha256 differs)", AGAIN)
        with h5py.File(path, "r", locking=False) as file:
            structure = Structure.model_validate_json(_get(file, "structure", "uint8").tobytes())
            declared = structure.arrays()
            _refuse_links(file, {"structure", *declared})
            arrays: Arrays = {}
            for name, (dtype, shape) in declared.items():
                _plain(file[name], name, dtype, shape)
                if not name.startswith(("weights/", "tables/")):
                    arrays[name] = file[name][()]
        net = _netlist(structure, arrays, lambda name: Stored(path, digest, name, *declared[name]))
    try:
        check(net)
    except NetlistError as error:
        raise NetlistError(f"{path}: {error.what}", error.remedy) from error
    return net


@dataclass(frozen=True)
class Stored:
    """A matrix or table that is still in the file."""

    path: Path
    digest: str  # of the file's content when the netlist was loaded
    name: str
    dtype: str
    shape: tuple[int, int]

    def load(self) -> NDArray[Any]:
        with _reading(self.path):
            if _header(self.path)[1] != self.digest:
                raise NetlistError(
                    f"{self.path}: replaced while in use", "load the netlist again"
                )
            with h5py.File(self.path, "r", locking=False) as file:
                return _get(file, self.name, self.dtype, self.shape)


def _structure(net: Netlist) -> tuple[Structure, Arrays]:
    """The text, and the arrays that are already in memory; `_made` makes the others."""
    arrays: Arrays = {}
    names = {name: i for i, name in enumerate(net.populations)}
    for i, group in enumerate(net.synapses):
        if isinstance(group.form, Gather):
            arrays[f"gather/{i}/index"] = group.form.index
            arrays[f"gather/{i}/weight"] = group.form.weight
    placement = net.placement
    if placement:
        tiles = [(names[t.population], t.start, t.stop, t.core) for t in placement.tiles]
        blocks = [(b.group, *b.rows, *b.cols, b.core) for b in placement.blocks]
        arrays["placement/tiles"] = np.asarray(tiles, np.int64).reshape(-1, 4)
        arrays["placement/blocks"] = np.asarray(blocks, np.int64).reshape(-1, 6)
    if net.tokenizer is not None:
        arrays["tokenizer"] = np.frombuffer(net.tokenizer.encode(), np.uint8)
    structure = Structure(
        **{key: getattr(net, key) for key in _PLAIN},
        phases=list(net.phases),
        populations=[_population_text(p, arrays) for p in net.populations.values()],
        synapses=[
            SynapsesText(**{**vars(group), "form": _form_text(group.form)})
            for group in net.synapses
        ],
        tables=[
            TableText(
                population=t.population, source=t.source, offset=t.offset, shape=t.rows.shape
            )
            for t in net.tables
        ],
        placement=placement
        and PlacementText(**{**vars(placement), "tiles": len(tiles), "blocks": len(blocks)}),
        tokenizer=None if net.tokenizer is None else len(arrays["tokenizer"]),
    )
    return structure, arrays


_PLAIN = ("family", "causal", "context", "vocabulary", "output", "output_kind", "provenance")


def _population_text(population: Population, arrays: Arrays) -> PopulationText:
    params: dict[str, Any] = {}
    for key, value in population.params.items():
        if not isinstance(value, np.ndarray):
            params[key] = [int(x) for x in value] if isinstance(value, tuple) else int(value)
        elif len(value) <= INLINE:
            params[key] = ShortArray(array=value.tolist())
        else:
            ends = (int(value.min()), int(value.max()))
            dtype = np.result_type(*(np.min_scalar_type(min(end, -1 - end)) for end in ends)).name
            params[key] = LongArray(dtype=dtype, length=len(value))
            arrays[f"params/{population.name}/{key}"] = value.astype(dtype)
    runs = {"steps": _runs(population.steps), "sends": _runs(population.sends)}
    axes = list(population.axes.items())
    return PopulationText(**{**vars(population), "axes": axes, "params": params, **runs})


def _form_text(form: Form) -> DenseText | PatternText | GatherText:
    if isinstance(form, Dense):
        return DenseText(dense=form.weights.shape)
    if isinstance(form, Gather):
        return GatherText(gather=len(form.index))
    return PatternText(pattern=(form.source, form.target), weight=form.weight)


def _made(net: Netlist, name: str) -> NDArray[Any]:
    """A dense group's weights or a table's rows, by their path in the file."""
    folder, _, key = name.partition("/")
    if folder == "weights":
        form = net.synapses[int(key)].form
        assert isinstance(form, Dense)
        return form.weights.load()
    rows: NDArray[Any] = next(t for t in net.tables if t.population == key).rows.load()
    return rows


def _netlist(s: Structure, arrays: Arrays, stored: Callable[[str], Stored]) -> Netlist:
    """What `_structure` was made from."""
    if sum(count for p in s.populations for _, count, _ in (*p.steps, *p.sends)) > MOST_STEPS:
        raise ValueError(f"more than {MOST_STEPS} steps in a period")
    net = Netlist(**{key: getattr(s, key) for key in _PLAIN}, phases=tuple(s.phases))
    for p in s.populations:
        params = {
            key: _param(value, arrays.get(f"params/{p.name}/{key}"))
            for key, value in p.params.items()
        }
        steps = {"steps": _unrolled(p.steps), "sends": _unrolled(p.sends)}
        if p.name in net.populations:
            raise ValueError(f"two populations named {p.name}")
        changed = {"axes": dict(p.axes), "params": params, **steps}
        net.populations[p.name] = Population(**{**dict(p), **changed})
    for i, g in enumerate(s.synapses):
        form: Form
        if isinstance(g.form, DenseText):
            form = Dense(stored(f"weights/{i}"))
        elif isinstance(g.form, GatherText):
            form = Gather(arrays[f"gather/{i}/index"], arrays[f"gather/{i}/weight"])
        else:
            form = Pattern(*g.form.pattern, g.form.weight)
        net.synapses.append(Synapses(**{**dict(g), "form": form}))
    for t in s.tables:
        rows = stored(f"tables/{t.population}")
        net.tables.append(HostTable(t.population, t.source, t.offset, rows))
    if s.placement:
        names = dict(enumerate(net.populations))
        tiles = tuple(Tile(names[i], *rest) for i, *rest in arrays["placement/tiles"].tolist())
        blocks = tuple(
            Block(group, (top, bottom), (left, right), core)
            for group, top, bottom, left, right, core in arrays["placement/blocks"].tolist()
        )
        net.placement = Placement(**{**dict(s.placement), "tiles": tiles, "blocks": blocks})
    if s.tokenizer is not None:
        net.tokenizer = arrays["tokenizer"].tobytes().decode()
    return net


def _param(value: int | list[int] | ShortArray | LongArray, array: NDArray[Any] | None) -> Any:
    if isinstance(value, LongArray):
        assert array is not None
        return array.astype(np.int64)
    if isinstance(value, ShortArray):
        return np.asarray(value.array, np.int64)
    return tuple(value) if isinstance(value, list) else value


def _runs(steps: tuple[int, ...]) -> Runs:
    """Steps as runs of equal distance."""
    runs: Runs = []
    for step in steps:
        first, count, apart = runs[-1] if runs else (0, 0, 0)
        if count == 1 and step > first:
            runs[-1] = (first, 2, step - first)
        elif count > 1 and step == first + count * apart:
            runs[-1] = (first, count + 1, apart)
        else:
            runs.append((step, 1, 1))
    return runs


def _unrolled(runs: Runs) -> tuple[int, ...]:
    return tuple(first + i * apart for first, count, apart in runs for i in range(count))


def _put(file: h5py.File, name: str, array: NDArray[Any]) -> None:
    file.create_dataset(name, data=array, track_times=False)


def _get(file: h5py.File, name: str, dtype: str, shape: tuple[int, ...] | None = None) -> NDArray[Any]:
    """One array, whole, after looking at how it is stored."""
    _refuse_links(file, None)
    _plain(file[name], name, dtype, shape)
    found: NDArray[Any] = file[name][()]
    return found

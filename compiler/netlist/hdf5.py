"""The netlist file: a line that identifies it, then HDF5; equal netlists give equal bytes.

The first 512 bytes are HDF5's user block: "las_neuro netlist VERSION sha256 DIGEST", the digest of
all that follows, so a damaged file is refused before the HDF5 library parses it.  The HDF5 file has

    structure                          JSON text of the netlist's dataclasses, field by field
    populations/NAME/params/KEY        an array too long for the text, in the narrowest integer
    synapses/INDEX/form/weights        int8 [n_post, n_pre]; below 5 bits packed (packed.py)
    synapses/INDEX/form/index, weight  int32 [n], int8 [n]
    tables/INDEX/rows                  int32 [rows, n]
    placement/tiles, blocks            int64 [count, 4], [count, 6]

where the path of an array is its place in the text.  Arrays are not compressed: weights hardly
compress, and versions of zlib give different bytes.  Matrices are computed, written and freed one
by one; a loaded netlist reads a matrix only when it is needed.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import h5py
import numpy as np
from numpy.typing import NDArray

from compiler.netlist.check import check
from compiler.netlist.model import Block, Dense, Matrix, Netlist, Placement, Tile
from compiler.netlist.packed import pack, packed_shape, unpack, within
from las_neuro.errors import NetlistError
from las_neuro.files import replacing

VERSION = 4
FORMAT = "las_neuro netlist"
HEADER_BYTES = 512  # HDF5's smallest user block
HEADER = re.compile(FORMAT.encode() + rb" (\d{1,9}) sha256 ([0-9a-f]{64})\n\0*")
INLINE = 16  # longest array kept in the text
INTEGERS = tuple(np.dtype(f"<i{size}") for size in (1, 2, 4, 8))
TYPES = {"weights": "<i1", "index": "<i4", "weight": "<i1", "rows": "<i4"}  # others: any integer
SPECIAL = ("placement", "provenance")  # fields that are not written by their type
DENSE = {"weights": dict[str, tuple[int, int]], "bits": int}  # a Dense's fields in the text
AGAIN = "compile the model again (las-compile), or fetch the file again"

Get = Callable[[str, bool], Any]  # (place, lazily) -> array, or an object that loads it


def save(net: Netlist, path: Path | str) -> None:
    """Write a netlist to `path`, completely or not at all.

    Raises OutputError where that fails, NetlistError for a netlist that `load` would refuse.
    """
    check(net)
    path = Path(path)
    arrays: dict[str, Any] = {}
    text = json.dumps(_net_text(net, arrays), allow_nan=False, separators=(",", ":"))
    with replacing(path) as handle, _Disk(handle, "r+", closefd=False) as disk:
        with h5py.File(disk, "w", libver=("earliest", "v110"), userblock_size=HEADER_BYTES) as file:
            file.attrs["format"], file.attrs["version"] = FORMAT, VERSION
            file["structure"] = np.frombuffer(text.encode(), np.uint8)
            for place in list(arrays):
                disk.complain()
                file[place] = _narrow(place, arrays.pop(place))
        disk.complain()
        line = f"{FORMAT} {VERSION} sha256 {_digest(disk)}\n"
        disk.seek(0)
        disk.write(line.encode())
        disk.complain()


def load(path: Path | str) -> Netlist:
    """Read and check a netlist; dense weights and host tables are read when they are needed.

    Raises NetlistError for a file that `save` cannot have written.
    """
    path = Path(path)
    with _reading(path):
        digest = _header(path)
        with open(path, "rb") as raw:
            if _digest(raw) != digest:
                raise NetlistError(f"{path}: truncated or damaged (wrong sha256)", AGAIN)
        with h5py.File(path, "r", locking=False) as file:
            unread = _places(file)

            def get(place: str, lazily: bool) -> Any:
                if place not in unread:
                    raise ValueError(f"{place} is missing, or claimed twice")
                unread.remove(place)
                array = _plain(file[place], place)
                return InFile(path.absolute(), digest, place, array.shape) if lazily else array[()]

            text = json.loads(
                get("structure", False).tobytes().decode(),
                parse_constant=_no_number,
                object_pairs_hook=_once,
            )
            json.dumps(text, ensure_ascii=False).encode()  # raises for unpaired surrogates
            net = _net(text, get)
            if unread:
                raise ValueError(f"unknown object {min(unread)}")
    try:
        check(net)
    except NetlistError as error:
        raise NetlistError(f"{path}: {error.what}", AGAIN) from error
    return net


@dataclass(frozen=True)
class InFile:
    """A matrix or table in a netlist file; `load` raises NetlistError if the file has changed."""

    path: Path
    digest: str  # of the file when the netlist was loaded
    place: str
    shape: tuple[int, ...]
    bits: int = 8  # of a weight

    def load(self) -> NDArray[Any]:
        with _reading(self.path):
            if _header(self.path) != self.digest:
                raise NetlistError(f"{self.path}: replaced while in use", "load it again")
            with h5py.File(self.path, "r", locking=False) as file:
                array: NDArray[Any] = file[self.place][()]
            return unpack(array, self.shape, self.bits)


def _net_text(net: Netlist, arrays: dict[str, Any]) -> dict[str, Any]:
    """The netlist field by field; arrays too large for the text go to `arrays` by place."""
    text = {
        field.name: _text(getattr(net, field.name), field.name, arrays)
        for field in fields(net)
        if field.name not in SPECIAL
    }
    names = {name: i for i, name in enumerate(net.populations)}
    if net.placement:
        where = dict(vars(net.placement))
        tiles = [(names[t.population], t.start, t.stop, t.core) for t in where.pop("tiles")]
        blocks = [(b.group, *b.rows, *b.cols, b.core) for b in where.pop("blocks")]
        arrays["placement/tiles"] = np.asarray(tiles, np.int64).reshape(-1, 4)
        arrays["placement/blocks"] = np.asarray(blocks, np.int64).reshape(-1, 6)
        text["placement"] = where
    return text | {"provenance": net.provenance}


def _text(value: Any, place: str, arrays: dict[str, Any]) -> Any:
    if isinstance(value, np.ndarray) and place.startswith("populations/") and value.size <= INLINE:
        return {"values": value.tolist()}
    if isinstance(value, Dense):
        arrays[f"{place}/weights"] = value
        return {"weights": {"shape": list(value.weights.shape)}, "bits": value.bits}
    if isinstance(value, np.ndarray) or hasattr(value, "load"):
        arrays[place] = value
        return {"shape": list(value.shape)}
    if is_dataclass(value):
        value = vars(value)
    if isinstance(value, Mapping):
        return {key: _text(part, f"{place}/{key}", arrays) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_text(part, f"{place}/{i}", arrays) for i, part in enumerate(value)]
    return int(value) if isinstance(value, np.integer) else value


def _narrow(place: str, source: Any) -> NDArray[Any]:
    """An array as it is written to the file: packed, or in its narrowest type."""
    source, bits = (source.weights, source.bits) if isinstance(source, Dense) else (source, 8)
    array = source if isinstance(source, np.ndarray) else source.load()
    dtype = TYPES.get(place.rsplit("/", 1)[-1])
    if array.shape != source.shape or (dtype and array.dtype != dtype):
        raise NetlistError(f"{place}: made {array.dtype} {array.shape}", "report this bug")
    if not within(array, bits):
        raise NetlistError(f"{place}: weights beyond {bits} bits", "report this bug")
    if bits < 8:
        return pack(array, bits)
    if dtype or place.startswith("placement/"):
        return np.asarray(array, array.dtype.newbyteorder("<"))
    ends = array.min(), array.max()
    fits = (t for t in INTEGERS if np.iinfo(t).min <= ends[0] and ends[1] <= np.iinfo(t).max)
    return np.asarray(array, next(fits))


def _net(text: Any, get: Get) -> Netlist:
    """The netlist of a text that `_net_text` gave."""
    if type(text) is not dict or type(text.get("provenance")) is not dict:
        raise ValueError("structure is not a netlist")
    provenance, where = text.pop("provenance"), text.pop("placement", None)
    hints = {key: hint for key, hint in _hints(Netlist).items() if key not in SPECIAL}
    net = Netlist(**_fields(hints, text, "", get), provenance=provenance)
    if where is not None:
        hints = {key: h for key, h in _hints(Placement).items() if key not in ("tiles", "blocks")}
        names = dict(enumerate(net.populations))
        tiles, blocks = (get(f"placement/{key}", False).tolist() for key in ("tiles", "blocks"))
        net.placement = Placement(
            **_fields(hints, where, "placement/", get),
            tiles=tuple(Tile(names[i], *rest) for i, *rest in tiles),
            blocks=tuple(Block(i, (a, b), (c, d), core) for i, a, b, c, d, core in blocks),
        )
    return net


def _fields(hints: Mapping[str, Any], text: Any, place: str, get: Get) -> dict[str, Any]:
    """The fields of a dataclass; ValueError where the text has more or fewer."""
    if type(text) is not dict or set(text) != set(hints):
        raise ValueError(f"{place or 'structure'} has not the fields {', '.join(hints)}")
    return {key: _typed(hint, text[key], f"{place}{key}", get) for key, hint in hints.items()}


def _typed(hint: Any, text: Any, place: str, get: Get) -> Any:
    """A value of the declared type; ValueError where the text has another type."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is UnionType:  # X | None, or one of several dataclasses
        if text is None and NoneType in args:
            return None
        forms = [a for a in args if hasattr(a, "__dataclass_fields__")]
        matching = [form for form in forms if set(_hints(form)) == set(text)]
        return _typed((matching or args)[0], text, place, get)
    is_array = origin in (np.ndarray, NDArray)  # NDArray[x] is its own alias from numpy 2.5 on
    if is_array or hint is Matrix or hint is Any:
        return _array(text, place, get, lazily=not is_array)
    if hint is Dense:
        return _dense(text, place, get)
    if isinstance(hint, type) and is_dataclass(hint):
        return hint(**_fields(_hints(hint), text, f"{place}/", get))
    if origin in (dict, Mapping) and type(text) is dict:
        read = _param if args[1] is Any else lambda *part: _typed(args[1], *part)
        return {key: read(part, f"{place}/{key}", get) for key, part in text.items()}
    if origin in (list, tuple) and type(text) is list:
        each = [args[0]] * len(text) if args[1:] in ((), (...,)) else args
        parts = zip(each, text, strict=True)
        return origin(_typed(h, part, f"{place}/{i}", get) for i, (h, part) in enumerate(parts))
    if hint is float and type(text) in (int, float) and math.isfinite(text):
        return float(text)
    if hint not in (int, str, bool) or type(text) is not hint:
        raise ValueError(f"{place}: {text!r:.20} is no {getattr(hint, '__name__', hint)}")
    return text


def _param(text: Any, place: str, get: Get) -> Any:
    """A parameter: int, tuple of int, or int64 array [n]."""
    if type(text) is dict and set(text) == {"values"}:
        return np.asarray(_typed(tuple[int, ...], text["values"], place, get), np.int64)
    if type(text) is dict:
        return _array(text, place, get, lazily=False).astype(np.int64)
    return _typed(int if type(text) is int else tuple[int, ...], text, place, get)


def _dense(text: Any, place: str, get: Get) -> Dense:
    """Dense weights: the text has their shape and bits, the file the packed array."""
    values = _fields(DENSE, text, f"{place}/", get)
    shape, bits = values["weights"]["shape"], values["bits"]
    weights = get(f"{place}/weights", True)
    known = 1 <= bits <= 8 and set(values["weights"]) == {"shape"}
    if not known or weights.shape != packed_shape(shape, bits):
        raise ValueError(f"{place}/weights is {weights.shape}, declared {text!r:.60}")
    return Dense(replace(weights, shape=shape, bits=bits), bits)


def _array(text: Any, place: str, get: Get, lazily: bool) -> Any:
    array = get(place, lazily)
    if text != {"shape": list(array.shape)}:
        raise ValueError(f"{place} is {array.shape}, declared {text!r:.40}")
    return array


@functools.cache
def _hints(of: Any) -> dict[str, Any]:
    return get_type_hints(of)


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("a name is given twice")
    return unique


def _places(file: h5py.File) -> set[str]:
    """Paths of all arrays of the file; ValueError for soft or external links and second names."""
    places: set[str] = set()
    addresses = {h5py.h5o.get_info(file.id).addr}
    groups = [""]
    while groups:
        group = groups.pop()
        for name in file[group or "/"]:
            place = f"{group}{name}"
            if not isinstance(file.get(place, getlink=True), h5py.HardLink):
                raise ValueError(f"{place} is a link")
            item = file[place]
            address = h5py.h5o.get_info(item.id).addr
            if address in addresses:
                raise ValueError(f"{place} is a second name of an object")
            addresses.add(address)
            if isinstance(item, h5py.Group):
                groups.append(f"{place}/")
            else:
                places.add(place)
    return places


def _plain(array: Any, place: str) -> Any:
    """The dataset itself; ValueError unless it is stored contiguously in this file, in its type."""
    if not isinstance(array, h5py.Dataset) or array.shape is None:
        raise ValueError(f"{place} is no array")
    properties = array.id.get_create_plist()
    if properties.get_layout() != h5py.h5d.CONTIGUOUS or properties.get_external_count():
        raise ValueError(f"{place} is compressed, virtual or stored elsewhere")
    dtype = "u1" if place == "structure" else TYPES.get(place.rsplit("/", 1)[-1])
    if array.dtype not in ([np.dtype(dtype)] if dtype else INTEGERS):
        raise ValueError(f"{place} holds {array.dtype}")
    if math.prod(array.shape) * array.dtype.itemsize > os.path.getsize(array.file.filename):
        raise ValueError(f"{place} is said to be {array.shape}")
    return array


def _header(path: Path) -> str:
    """The digest in the first line; raises NetlistError where that is not a netlist's."""
    if not path.is_file():
        raise NetlistError(f"{path}: no such file", "name a netlist that las-compile has written")
    with open(path, "rb") as raw:
        header = HEADER.fullmatch(raw.read(HEADER_BYTES))
    if not header:
        raise NetlistError(f"{path}: not a netlist", "name a netlist that las-compile has written")
    if int(header[1]) != VERSION:
        raise NetlistError(
            f"{path}: netlist of version {int(header[1])}, this las_neuro reads {VERSION}",
            "upgrade las_neuro, or compile the model again with this one",
        )
    return header[2].decode()


def _digest(raw: io.BufferedReader | io.FileIO) -> str:
    """sha256 of all bytes after the header."""
    digest = hashlib.sha256()
    raw.seek(HEADER_BYTES)
    while block := raw.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raise NetlistError in place of any error of h5py, JSON or a conversion."""
    try:
        yield
    except (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise NetlistError(f"{path}: not a readable netlist ({why:.120})", AGAIN) from error


class _Disk(io.FileIO):
    """The file that HDF5 writes to.

    The library crashes when a write fails, so failures are kept here, and `complain` raises them.
    """

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        while len(left) and not self.failure:
            try:
                left = left[super().write(left) :]
            except OSError as error:
                self.failure = error
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size or 0

    def complain(self) -> None:
        if self.failure:
            raise self.failure

"""One safetensors file: its header read and checked, its tensors mapped and widened to float32.

Layout (huggingface/safetensors, README "Format"): 8 bytes n, little-endian; n bytes of JSON,
`{"name": {"dtype": "BF16", "shape": [3, 4], "data_offsets": [0, 24]}, ...}`; then the data.
The header is parsed here because numpy has no bfloat16 and because nothing in it may be trusted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from las_neuro.errors import CheckpointError
from las_neuro.files import sha256_of
from las_neuro.graph import Floats

# bfloat16 is the upper half of a float32, so it is read as uint16 and shifted.
READ_AS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
BITS = {"BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64}
BITS |= {"I64": 64, "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8}
HEADER_LIMIT = 100_000_000  # bytes; the limit of the safetensors library
FETCH_AGAIN = "fetch the file again; it may have been cut short while downloading"


@dataclass(frozen=True)
class Entry:
    """Where one tensor lies: bytes [start, stop) counted from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class WeightFile:
    """A safetensors file whose header has been checked; the data stay on disk until `read`."""

    path: Path
    entries: Mapping[str, Entry]
    data_start: int  # byte where the data begin

    @staticmethod
    def open(path: Path) -> WeightFile:
        """Read and check the header; the data are not touched.

        Raises `CheckpointError` for a bad header, and `OSError`.
        """
        if not path.is_file():  # a pipe would block
            raise CheckpointError(f"{path}: is not a file", "name a .safetensors file")
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            _check_start(path, start, length, size)
            header = file.read(length)
        entries = _entries(path, header)
        _check_cover(path, entries, size - 8 - length)
        return WeightFile(path, entries, 8 + length)

    def read(self, name: str) -> Floats:
        """The tensor as float32 [shape]; `CheckpointError` on a non-float, a NaN or an infinity."""
        entry = self.entries[name]
        if entry.dtype not in READ_AS:
            raise CheckpointError(
                f"{self.path}: tensor {name} is {entry.dtype}, not one of {', '.join(READ_AS)}",
                "use the unquantised checkpoint, saved as float32, float16 or bfloat16",
            )
        if entry.start == entry.stop:
            return np.zeros(entry.shape, np.float32)
        array = self._widen(entry)
        bad = array.size - int(np.count_nonzero(np.isfinite(array)))
        if bad:
            raise CheckpointError(
                f"{self.path}: tensor {name} holds {bad} NaN or infinite of {array.size} values",
                "use a checkpoint whose training did not diverge",
            )
        return array

    def _widen(self, entry: Entry) -> Floats:
        try:
            values = np.memmap(
                self.path, READ_AS[entry.dtype], "r", self.data_start + entry.start, entry.shape
            )
        except (OSError, ValueError) as error:  # the file shrank after it was opened
            raise CheckpointError(f"{self.path}: changed while being read", FETCH_AGAIN) from error
        if entry.dtype == "BF16":
            return (values.astype(np.uint32) << 16).view(np.float32)
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite: caught above
            return np.array(values, dtype=np.float32)

    def sha256(self) -> str:
        return sha256_of(self.path)


def _check_start(path: Path, start: bytes, length: int, size: int) -> None:
    # a valid header's length may begin with these bytes, too, but a pickle's exceed the limit
    if start.startswith((b"PK", b"\x80")) and (size < 8 or length > HEADER_LIMIT):
        raise CheckpointError(
            f"{path}: is a pickle (PyTorch) file under another name",
            "convert it to safetensors; a pickle can run code, so it is never opened",
        )
    if start == b"version ":
        raise CheckpointError(f"{path}: is a Git LFS pointer, not the weights", "run git lfs pull")
    if size < 8 or length < 2 or length > HEADER_LIMIT:
        raise CheckpointError(
            f"{path}: not a safetensors file ({size} bytes, header of {length}, limit "
            f"{HEADER_LIMIT})",
            "name a .safetensors file or a folder that holds one",
        )
    if length > size - 8:
        raise CheckpointError(f"{path}: truncated inside its header", FETCH_AGAIN)


def _entries(path: Path, header: bytes) -> dict[str, Entry]:
    try:
        parsed = json.loads(header.decode("utf-8"), object_pairs_hook=_unique_names)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: header is not valid JSON ({error})", FETCH_AGAIN) from error
    if not isinstance(parsed, dict):
        raise CheckpointError(f"{path}: header is not a JSON object", FETCH_AGAIN)
    parsed.pop("__metadata__", None)
    return {name: _entry(path, name, fields) for name, fields in parsed.items()}


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name appears twice")
    return fields


def _entry(path: Path, name: str, fields: Any) -> Entry:
    fields = fields if isinstance(fields, dict) else {}
    shape, offsets = fields.get("shape"), fields.get("data_offsets")
    if not (_naturals(shape) and _naturals(offsets) and len(offsets) == 2):
        raise CheckpointError(f"{path}: tensor {name} has a malformed header entry", FETCH_AGAIN)
    entry = Entry(str(fields.get("dtype")), tuple(shape), *offsets)
    needs = math.prod(entry.shape) * BITS.get(entry.dtype, 0) // 8
    if entry.stop < entry.start or (entry.dtype in BITS and entry.stop - entry.start != needs):
        raise CheckpointError(
            f"{path}: tensor {name} {entry.dtype}{list(entry.shape)} needs {needs} bytes, "
            f"its header gives {entry.stop - entry.start}",
            FETCH_AGAIN,
        )
    return entry


def _naturals(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(type(n) is int and 0 <= n < 2**63 for n in numbers)


def _check_cover(path: Path, entries: Mapping[str, Entry], data_size: int) -> None:
    """Tensors must tile the data: no overlap, no gap (hidden bytes), nothing past the end."""
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].stop)):
        if entry.stop > data_size:
            raise CheckpointError(
                f"{path}: truncated; tensor {name} ends at byte {entry.stop} of {data_size}",
                FETCH_AGAIN,
            )
        if entry.start != end:
            fault = "overlaps the one before it" if entry.start < end else "follows a gap"
            raise CheckpointError(f"{path}: tensor {name} {fault}", FETCH_AGAIN)
        end = entry.stop
    if end != data_size:
        raise CheckpointError(
            f"{path}: {data_size - end} bytes follow the last tensor", FETCH_AGAIN
        )

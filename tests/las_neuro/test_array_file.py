"""Damaged and hostile .npy files: each gives one line that names the file."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from las_neuro.array_file import read_array
from las_neuro.calibration.text import _from_ids
from las_neuro.errors import CalibrationError
from las_neuro.patches import read_images


def headed(text: str) -> bytes:
    """A file of version 1 with this header and 96 bytes of data."""
    padded = text.encode() + b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded + bytes(96)


def described(descr: str, shape: str) -> bytes:
    return headed(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}")


def saved(array: Any, save: Any = np.save) -> bytes:
    stream = io.BytesIO()
    save(stream, array)
    return stream.getvalue()


BAD = {
    "empty": b"",
    "no array": b"not an array",
    "zip": b"PK\x03\x04" + bytes(50),
    "empty zip": b"PK\x05\x06" + bytes(18),
    "npz": saved(np.arange(3), np.savez),
    "pickle": b"\x80\x04]\x94.",
    "magic alone": b"\x93NUMPY",
    "cut header": saved(np.arange(3))[:40],
    "cut data": saved(np.arange(30))[:-8],
    "objects": saved(np.array([{}], object)),
    "object type": described("'|O'", "(3,)"),
    "negative": described("'<i8'", "(-3, 4)"),
    "of any size": described("'<i8'", "(-1,)"),
    "beyond the file": described("'<i8'", "(1000000000000000,)"),
    "beyond any memory": described("'<i8'", "(99999999999999999999999999,)"),
    "bool": described("'<i8'", "(True,)"),
    "unknown type": described("'banana'", "(3,)"),
    "header not closed": headed("{'descr': '<i8', 'fortran"),
    "header no dictionary": headed("3"),
    "header of other keys": headed("{1: 2, 'descr': 3}"),
    "header nested": headed("(" * 5000 + ")" * 5000),
    "header with NUL": headed("\0"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_named(tmp_path: Path, case: str) -> None:
    path = tmp_path / "array.npy"
    path.write_bytes(BAD[case])
    for read in (lambda p: read_array(p, "save it again"), read_images, ids):
        with pytest.raises(CalibrationError, match=r"array\.npy: ") as caught:
            read(path)
        assert caught.value.remedy


def ids(path: Path) -> Any:
    """As token ids; the graph is only asked for its context afterwards."""
    return _from_ids(path, None)  # type: ignore[arg-type]


def test_a_good_file(tmp_path: Path) -> None:
    path = tmp_path / "array.npy"
    for array in (np.arange(12).reshape(3, 4), np.zeros((0, 3), np.float32), np.float64(3)):
        np.save(path, array)
        np.testing.assert_array_equal(read_array(path, ""), array)
    with pytest.raises(CalibrationError, match=r"nowhere\.npy: cannot be read"):
        read_array(tmp_path / "nowhere.npy", "")

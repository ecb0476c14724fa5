"""Reads a user's .npy file: memory-mapped, never unpickled."""

from __future__ import annotations

import warnings
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from las_neuro.errors import CalibrationError

MAGIC = b"\x93NUMPY"
# what numpy raises at the header of a damaged file, which it reads as a Python literal
DAMAGE = (ValueError, TypeError, OverflowError, EOFError, SyntaxError, TokenError, RecursionError)


def read_array(path: Path, remedy: str) -> NDArray[Any]:
    """The array of a .npy file, of any shape and of any type but objects.

    It stays on disk, so a header that claims more than the file holds takes no memory.  Raises
    `CalibrationError` with this remedy for any other file.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
        if start != MAGIC:  # np.load opens archives (.npz) and pickles, too
            raise CalibrationError(f"{path}: not a .npy file", remedy)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a header written by Python 2
            array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be read ({error.strerror})", remedy) from error
    except DAMAGE as error:
        raise CalibrationError(f"{path}: a damaged .npy file ({error!s:.80})", remedy) from error
    return array

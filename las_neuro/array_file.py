"""A numpy array of a user's: a .npy file, mapped, never unpickled."""

from __future__ import annotations

import warnings
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from las_neuro.errors import CalibrationError

MAGIC = b"\x93NUMPY"
# what numpy raises at the headers of damaged files, which it reads as Python literals
DAMAGED = (ValueError, TypeError, OverflowError, EOFError, SyntaxError, TokenError, RecursionError)


def read_array(path: Path, remedy: str) -> NDArray[Any]:
    """The array of a .npy file, any shape and type but objects; `CalibrationError` otherwise.

    It stays on disk: a header that promises more than the file holds takes no memory.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
        if start != MAGIC:  # an archive (.npz) or a pickle would be opened as what it is
            raise CalibrationError(f"{path}: not a .npy file", remedy)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a header written by Python 2
            array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be read ({error.strerror})", remedy) from error
    except DAMAGED as error:
        raise CalibrationError(f"{path}: a damaged .npy file ({error!s:.80})", remedy) from error
    return array

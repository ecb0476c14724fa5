"""Images as rows of pixels, one row per patch, which a vision model reads instead of tokens.

In: images [N, channels, height, width], normalised as the model's processor does.  Out: [N, tokens,
pixels], pixels in the order of a convolution's kernel.  Token 0 is the class token: all zeros.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from las_neuro.array_file import read_array
from las_neuro.errors import CalibrationError, PromptError
from las_neuro.graph import Floats


def read_images(path: Path, most: int | None = None) -> Floats:
    """The first `most` images [N, channels, height, width] of a `.npy` file.

    Raises `CalibrationError` if the file does not hold finite images.
    """
    remedy = (
        "save floats [images, channels, height, width], normalised as the model's processor does"
    )
    array = read_array(path, remedy)
    if array.ndim != 4 or array.dtype.kind != "f":
        raise CalibrationError(f"{path}: holds {array.dtype} {array.shape}, not images", remedy)
    if not len(array):
        raise CalibrationError(f"{path}: holds no images", remedy)
    images: Floats = np.array(array[:most], np.float32)
    if not np.isfinite(images).all():
        raise CalibrationError(f"{path}: holds numbers that are not finite", remedy)
    return images


def patches(images: Floats, pixels: int, tokens: int) -> Floats:
    """Images as square patches [N, tokens, pixels], row by row, after the class token.

    images: [N, channels, height, width].  Raises `PromptError` if one does not have `tokens` - 1
    such patches.
    """
    count, channels, height, width = images.shape
    side = math.isqrt(pixels // channels) if channels else 0
    rows, columns = (height // side, width // side) if side else (0, 0)
    fits = channels * side**2 == pixels and 1 + rows * columns == tokens
    if not fits or (rows * side, columns * side) != (height, width):
        raise PromptError(
            f"images of {channels} x {height} x {width} are not {tokens - 1} patches of {pixels}",
            "give images [N, channels, height, width] of the model's image_size",
        )
    grid = images.reshape(count, channels, rows, side, columns, side)
    flat = grid.transpose(0, 2, 4, 1, 3, 5).reshape(count, rows * columns, pixels)
    return np.pad(flat, ((0, 0), (1, 0), (0, 0)))

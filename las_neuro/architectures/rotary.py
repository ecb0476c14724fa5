"""Rotary position tables (RoFormer, arXiv 2104.09864, eq. 34; half-turn layout of transformers).

Angles are computed in float32, as transformers does: at long contexts, more exact angles would give
a different model.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from las_neuro.errors import ConfigError, UnsupportedError
from las_neuro.graph import Floats, Tensor

Doubles = NDArray[np.float64]


def rotary_tables(
    context: int, size: int, theta: float, scaling: dict[str, Any] | None
) -> tuple[Tensor, Tensor]:
    """cos and sin [context, size], computed when loaded; scaling: config.json's `rope_scaling`."""
    frequencies = scaled(inverse_frequencies(size, theta), scaling or {})

    def angles() -> Floats:
        half = np.outer(np.arange(context, dtype=np.float32), frequencies.astype(np.float32))
        return np.concatenate([half, half], axis=1)

    def cos() -> Floats:
        return np.cos(angles(), dtype=np.float32)

    def sin() -> Floats:
        return np.sin(angles(), dtype=np.float32)

    shape = (context, size)
    return Tensor("rotary.cos", shape, cos), Tensor("rotary.sin", shape, sin)


def inverse_frequencies(size: int, theta: float) -> Doubles:
    """theta ** (-2 i / size), i = 0 .. size/2 - 1."""
    frequencies: Doubles = 1.0 / theta ** (np.arange(0, size, 2, dtype=np.float64) / size)
    return frequencies


def scaled(frequencies: Doubles, scaling: dict[str, Any]) -> Doubles:
    """Frequencies after the config's `rope_scaling`: "default", "linear" or "llama3".

    Raises `UnsupportedError` for other types, `ConfigError` for a wrong field.
    """
    name = scaling.get("rope_type", scaling.get("type", "default"))
    if name == "default":
        return frequencies
    if name == "linear":
        lower: Doubles = frequencies / _number(scaling, "factor")
        return lower
    if name == "llama3":
        return _llama3(frequencies, scaling)
    raise UnsupportedError(
        f"rope_scaling of type {name!r} is not supported", "use default, linear or llama3"
    )


def _llama3(frequencies: Doubles, scaling: dict[str, Any]) -> Doubles:
    """Llama 3.1: low frequencies divided by `factor`, high ones not, a linear ramp between."""
    factor, context = (
        _number(scaling, "factor"),
        _number(scaling, "original_max_position_embeddings"),
    )
    low, high = _number(scaling, "low_freq_factor"), _number(scaling, "high_freq_factor")
    if high <= low:
        raise ConfigError(
            "rope_scaling: high_freq_factor must exceed low_freq_factor", "correct it"
        )
    turns = context * frequencies / (2 * math.pi)  # full turns within the trained context
    share = np.clip((turns - low) / (high - low), 0.0, 1.0)  # that is not divided
    lower: Doubles = frequencies * (share + (1.0 - share) / factor)
    return lower


def _number(scaling: dict[str, Any], key: str) -> float:
    value = scaling.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:
        raise ConfigError(f"rope_scaling: {key} = {value!r} is not a positive number", "correct it")
    return float(value)

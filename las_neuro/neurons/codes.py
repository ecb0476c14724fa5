"""Spike codes: how an integer becomes a train of spikes.

value = unit * sum_t 2**position[t] * digit[t].  What a digit may be is the code's form:

    binary        0 or 1, times the sign of the value (LAS, arXiv 2505.09659)
    signed-digit  -1, 0 or 1, no two neighbours set: the non-adjacent form, with the fewest spikes
    graded        0 to 2**b - 1, times the sign of the value: b binary digits in one graded spike

LAS's OAT neuron: two sub-neurons share the digits; values beyond the normal threshold are coded
whole by the outlier sub-neuron, whose spikes carry payload 2**outlier_shift.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from las_neuro.integers import Array, amount, namespace, saturate, shift_right

FORMS = ("binary", "signed-digit", "graded")

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

TABLE_BITS = 11
ONES = np.array([bin(i).count("1") for i in range(2**TABLE_BITS)], np.int64)


@dataclass(frozen=True)
class Code:
    """One encoder's code: `digits` binary digits of precision, least significant first.

    theta: the normal threshold, in the model's own numbers.
    outlier_shift: k, where the outlier sub-neuron's threshold is 2**k theta; 0: no outliers.
    outliers: which channels have an outlier compartment [n]; None: none has.
    spread: each channel's threshold divided by theta [n]; None: all are equal.
    skipped: how many of its lowest digits each channel never sends [n]; None: all are sent.
    """

    digits: int
    theta: float
    outlier_shift: int = 0
    outliers: NDArray[np.bool_] | None = None
    signed: bool = True
    form: str = "binary"
    spread: NDArray[np.float64] | None = None
    skipped: NDArray[np.int64] | None = None

    @property
    def top(self) -> int:
        """Largest magnitude that the digits can represent."""
        return largest_magnitude(self.form, self.digits)

    @property
    def unit(self) -> float:
        """What one step of the magnitude stands for, in a channel of spread 1."""
        return float(self.theta / (self.top + 1))

    @property
    def step(self) -> float | Doubles:
        """What one step of the magnitude stands for, by channel [n]."""
        return self.unit if self.spread is None else self.unit * self.spread

    def __str__(self) -> str:
        channels = 0 if self.outliers is None else int(self.outliers.sum())
        spread = "" if self.spread is None else f" spread {self.spread.max():.3g}"
        skipped = "" if self.skipped is None else f" skips {int(self.skipped.sum())}"
        return (
            f"{self.form} T={self.digits} theta={self.theta:.6g} "
            f"x2^{self.outlier_shift} on {channels}{spread}{skipped}"
        )


def largest_magnitude(form: str, digits: int) -> int:
    """All digits set; in a signed-digit code every second one, 101..."""
    return 2 ** (digits + 1) // 3 if form == "signed-digit" else int(2**digits) - 1


def encode(code: Code, x: Doubles) -> tuple[Ints, Ints]:
    """Magnitude, and payload of its digit 1 (sign, times 2**k of an outlier), of values [.., n]."""
    nearest = np.floor(x / code.step + 0.5).astype(np.int64)
    outliers = np.zeros(1, np.bool_) if code.outliers is None else code.outliers
    shift = code.outlier_shift if outliers.any() else 0
    skipped = np.zeros(1, np.int64) if code.skipped is None else code.skipped
    magnitude, payload, _ = coded(nearest, code.top, shift, outliers, skipped)
    return np.asarray(magnitude), np.asarray(payload)


def coded(
    q: Array, top: int, outlier_shift: int, outliers: Array, skipped: Array
) -> tuple[Array, Array, int]:
    """Whole steps q in a code: magnitude; payload of its digit 1; how many values were clamped.

    top: the largest magnitude that the digits give.  Rounded to nearest, halves up, clamped at the
    top; an outlier is coded in steps of 2**outlier_shift, a channel that skips s digits in 2**s.
    Arrays of numpy or torch; the compartment kind `encode` runs this same function.
    """
    xp = namespace(q)
    size, payload, limit, skips = xp.abs(q), xp.sign(q), top, amount(skipped) > 0
    magnitude = size
    if skips:
        magnitude, limit = shift_right(size, skipped), top >> skipped
    if outlier_shift:
        outlier = (magnitude > limit) & (outliers != 0)
        payload = payload << (outlier * outlier_shift)
        whole = shift_right(size, outlier_shift + (skipped if skips else 0))
        magnitude = xp.where(outlier, whole, magnitude)
    if not skips:
        magnitude, clamps = saturate(magnitude, 0, top)
        return magnitude, payload, clamps
    beyond = magnitude > limit
    return xp.where(beyond, limit, magnitude) << skipped, payload, amount(beyond)


def decode(code: Code, magnitude: Ints, payload: Ints) -> Doubles:
    """The values that receivers obtain from these spikes, in the model's own numbers."""
    return np.asarray(magnitude * payload * code.step)


def spike_counts(code: Code, magnitude: Ints) -> Ints:
    """Digits that are not zero: the spikes, except in the graded form, which packs digits."""
    if code.form == "signed-digit":
        magnitude = ((3 * magnitude) ^ magnitude) >> 1
    low, high = magnitude & (2**TABLE_BITS - 1), magnitude >> TABLE_BITS
    return np.asarray(ONES[low] + ONES[high])

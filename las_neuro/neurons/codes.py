"""Spike codes: how an integer becomes a train of spikes.

value = unit * sum_t 2**position[t] * digit[t].  What a digit may be is the code's form:

    binary        0 or 1, times the sign of the value (LAS, arXiv 2505.09659)
    signed-digit  -1, 0 or 1, no two neighbours set: the non-adjacent form, fewest spikes possible
    graded        0 to 2**b - 1, times the sign of the value: b binary digits in one graded spike

LAS's OAT neuron: two sub-neurons share the digits; values beyond the normal threshold are coded
whole by the outlier sub-neuron, whose spikes carry payload 2**outlier_shift.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FORMS = ("binary", "signed-digit", "graded")

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

TABLE_BITS = 11
ONES = np.array([bin(i).count("1") for i in range(2**TABLE_BITS)], np.int64)


@dataclass(frozen=True)
class Code:
    """One encoder's code: `digits` binary digits of precision, least significant first.

    theta: the normal threshold, in the value's units.
    outlier_shift: k, where the outlier sub-neuron's threshold is 2**k theta; 0: no outliers.
    outliers: which channels have an outlier compartment [n]; absent where none has.
    spread: each channel's threshold over theta [n]; absent where all are equal.
    skipped: how many of its lowest digits each channel never sends [n]; absent where none.
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
        """Largest magnitude the digits give."""
        return largest_magnitude(self.form, self.digits)

    @property
    def unit(self) -> float:
        """What one step of the magnitude stands for, in a channel of spread 1."""
        return float(self.theta / (self.top + 1))

    @property
    def step(self) -> float | Doubles:
        """What one step of the magnitude stands for, by channel."""
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
    """In a signed-digit code every second digit may be set, 101..., else all."""
    return 2 ** (digits + 1) // 3 if form == "signed-digit" else int(2**digits) - 1


def encode(code: Code, x: Doubles) -> tuple[Ints, Ints]:
    """Magnitude, and payload of its digit 1 (sign, times 2**k of an outlier), of values [.., n].

    The rounding of the compartment kind `encode`: to nearest, halves up, clamped at the top.
    """
    nearest = np.floor(x / code.step + 0.5).astype(np.int64)
    size, payload = np.abs(nearest), np.sign(nearest)
    skipped = np.int64(0) if code.skipped is None else code.skipped
    magnitude, top = _halved(size, skipped), code.top >> skipped
    if code.outlier_shift and code.outliers is not None:
        outlier = (magnitude > top) & code.outliers
        payload = payload << (outlier * code.outlier_shift)
        magnitude = np.where(outlier, _halved(size, code.outlier_shift + skipped), magnitude)
    return np.minimum(magnitude, top) << skipped, payload


def decode(code: Code, magnitude: Ints, payload: Ints) -> Doubles:
    """What the receivers of these spikes are given, in the value's units."""
    return np.asarray(magnitude * payload * code.step)


def spike_counts(code: Code, magnitude: Ints) -> Ints:
    """Digits that are not zero: spikes, but for graded ones, which take several digits each."""
    if code.form == "signed-digit":
        magnitude = ((3 * magnitude) ^ magnitude) >> 1
    low, high = magnitude & (2**TABLE_BITS - 1), magnitude >> TABLE_BITS
    return np.asarray(ONES[low] + ONES[high])


def _halved(x: Ints, times: Ints | np.int64) -> Ints:
    """x / 2**times to nearest, halves up."""
    return np.asarray((x + ((np.int64(1) << times) >> 1)) >> times)

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

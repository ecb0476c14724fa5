"""Spike codes: how an integer becomes a train of spikes.

value = unit * sum_t 2**position[t] * digit[t], with digits 0/1 times the sign of the value.
LAS (arXiv 2505.09659, OAT neuron): two sub-neurons share the digits; values beyond the normal
threshold are coded whole by the outlier sub-neuron, whose spikes carry payload 2**outlier_shift.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Code:
    """One encoder's code: `steps` binary digits, least significant first.

    theta: the normal threshold, in the value's units; the unit of the code is theta / 2**steps.
    outlier_shift: k, where the outlier sub-neuron's threshold is 2**k theta; 0: no outliers.
    outliers: which channels have an outlier compartment [n]; absent where none has.
    """

    steps: int
    theta: float
    outlier_shift: int = 0
    outliers: NDArray[np.bool_] | None = None
    signed: bool = True

    @property
    def unit(self) -> float:
        return float(self.theta / 2**self.steps)

    def __str__(self) -> str:
        channels = 0 if self.outliers is None else int(self.outliers.sum())
        return f"binary T={self.steps} theta={self.theta:.6g} x2^{self.outlier_shift} on {channels}"

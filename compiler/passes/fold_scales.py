"""fold_scales: real rescaling factors become each compartment's integer multiplier and shift.

Needs: cuts (they divide the sum).  Leaves: `multiplier` (15 bits), `divide` and `bias` in place of
`factor` and `bias_value`; nothing after this pass holds a real number.  The multiplier's relative
error is at most 2**-15, below a quarter of an int8 weight's step over 64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.arrays import WORD_LIMIT
from compiler.netlist.model import Netlist
from las_neuro.errors import WidthError

MULTIPLIER_BITS = 15
MOST_SHIFT = 48


def fold_scales(net: Netlist) -> Netlist:
    """Integers only from here on."""
    for name, population in net.populations.items():
        if "factor" not in population.params:
            continue
        params: dict[str, Any] = dict(population.params)
        factor = np.atleast_1d(np.asarray(params.pop("factor"), np.float64))
        factor = factor * 2.0 ** sum(params.get("cut", ()))
        multiplier, shift = _integers(factor, name)
        if population.kind in ("encode", "fire", "leak"):
            params |= {"multiplier": multiplier, "shift": shift}
            if "gain_value" in params:
                gain, divide = _integers(np.atleast_1d(params.pop("gain_value")), name)
                params |= {"gain": gain, "divide": divide}
        else:
            bias = np.rint(np.atleast_1d(params.pop("bias_value", 0.0))).astype(np.int64)
            if np.abs(bias).max() > WORD_LIMIT:
                raise WidthError(
                    f"{name}: bias {int(np.abs(bias).max())} exceeds the 24-bit limit {WORD_LIMIT}",
                    "calibrate on text that reaches this layer's real range (--calibrate FILE)",
                )
            params |= {"multiplier": multiplier, "divide": shift, "bias": bias}
        net.update(name, params=params)
    return net


def _integers(
    factor: NDArray[np.float64], name: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """multiplier / 2**shift nearest to factor, the multiplier's top bit set where it can be."""
    if not np.isfinite(factor).all():
        raise WidthError(f"{name}: a rescaling factor is not finite", "check the weights for NaN")
    _, exponent = np.frexp(factor)
    shift = np.clip(MULTIPLIER_BITS - exponent, 0, MOST_SHIFT)
    multiplier = np.rint(factor * 2.0**shift).astype(np.int64)
    full = (np.abs(multiplier) == 2**MULTIPLIER_BITS) & (shift > 0)  # rounded up to the next octave
    multiplier, shift = np.where(full, multiplier // 2, multiplier), shift - full
    if np.abs(multiplier).max() >= 2**MULTIPLIER_BITS:
        raise WidthError(
            f"{name}: rescaling by {np.abs(factor).max():.3g} exceeds {2**MULTIPLIER_BITS}",
            "calibrate on text that reaches this layer's real range (--calibrate FILE)",
        )
    return multiplier, shift.astype(np.int64)

"""fold_scales: real rescaling factors become each compartment's integer multiplier and shift.

The lowered network thereby becomes a netlist, which holds integers only.  The multiplier has 15
bits: its relative error is at most 2**-15, less than 1/256 of the int8 step of the largest weight.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.lowering.network import Doubles, LoweredNetwork, LoweredPopulation, Scaling
from compiler.netlist.model import Netlist, Network, Population
from compiler.passes.contract import Pass
from compiler.task import Task
from las_neuro.errors import WidthError
from las_neuro.integers import WORD_LIMIT

MULTIPLIER_BITS = 15
MOST_SHIFT = 48
REMEDY = "calibrate on text that reaches this layer's real range (--calibrate FILE)"


def fold_scales(net: LoweredNetwork, task: Task) -> Netlist:
    """The netlist, not placed.

    Raises WidthError where a factor is not finite, or a factor or bias does not fit its word.
    """
    shared = {field.name: getattr(net, field.name) for field in fields(Network)}
    folded = {name: _folded(population) for name, population in net.populations.items()}
    return Netlist(**(shared | {"populations": folded}))


def _folded(population: LoweredPopulation) -> Population:
    """The same population, its scaling as integer parameters."""
    values = {field.name: getattr(population, field.name) for field in fields(Population)}
    scaling = population.scaling
    if scaling is not None:
        values["params"] = {**population.params, **_parameters(population, scaling)}
    return Population(**values)


def _parameters(population: LoweredPopulation, scaling: Scaling) -> dict[str, Any]:
    """Multipliers, shifts and bias under the names that the kind declares.

    Every bit cut halves the sum that the factor multiplies, so the factor is doubled for each.
    """
    name, factor = population.name, np.atleast_1d(np.asarray(scaling.factor, np.float64))
    factor = factor * 2.0 ** sum(population.params.get("cut", ()))
    multiplier, shift = _integers(factor, name)
    names = population.does.rescaling
    if names is None:
        raise ValueError(f"{name}: nothing of {population.kind} is rescaled")
    params: dict[str, Any] = {names.multiplier: multiplier, names.shift: shift}
    if scaling.gain is not None:
        gain, divide = _integers(np.atleast_1d(np.asarray(scaling.gain, np.float64)), name)
        params |= {names.gain: gain, names.gain_shift: divide}
    return params | ({names.bias: _bias(scaling.bias, name)} if names.bias else {})


def _bias(value: Doubles | float, name: str) -> NDArray[np.int64]:
    bias: NDArray[np.int64] = np.rint(np.atleast_1d(value)).astype(np.int64)
    if np.abs(bias).max() > WORD_LIMIT:
        largest = int(np.abs(bias).max())
        raise WidthError(f"{name}: bias {largest} exceeds the 24-bit limit {WORD_LIMIT}", REMEDY)
    return bias


def _integers(
    factor: NDArray[np.float64], name: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Multipliers and shifts with multiplier / 2**shift nearest to each factor.

    A multiplier uses all its 15 bits unless the shift would have to be negative or exceed 48.
    """
    if not np.isfinite(factor).all():
        raise WidthError(f"{name}: a rescaling factor is not finite", "check the weights for NaN")
    _, exponent = np.frexp(factor)
    shift = np.clip(MULTIPLIER_BITS - exponent, 0, MOST_SHIFT)
    multiplier = np.rint(factor * 2.0**shift).astype(np.int64)
    full = (np.abs(multiplier) == 2**MULTIPLIER_BITS) & (shift > 0)  # rounded up to the next octave
    multiplier, shift = np.where(full, multiplier // 2, multiplier), shift - full
    if np.abs(multiplier).max() >= 2**MULTIPLIER_BITS:
        largest = np.abs(factor).max()
        raise WidthError(f"{name}: rescaling by {largest:.3g} exceeds {2**MULTIPLIER_BITS}", REMEDY)
    return multiplier, shift.astype(np.int64)


PASS = Pass(
    fold_scales,
    "lowered",
    "netlist",
    needs=("cuts",),
    leaves=("integers",),
    reads_weights=True,
)

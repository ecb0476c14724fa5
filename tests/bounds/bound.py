"""bound: what a node may be off by, and how rescaling and saturation bound it; a part of bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.model import Population
from las_neuro.integers import WORD_LIMIT

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Bound:
    """Of one node's values [B, S, *axes], or of a shape that spreads over them."""

    foreseen: Doubles  # with its sign
    constants: Doubles  # >= |foreseen|, each rounded constant at its worst sign
    rounding: Doubles  # >= |error - foreseen|

    @property
    def most(self) -> Doubles:
        """>= |error|."""
        return np.asarray(self.constants + self.rounding)


def rescaling(population: Population) -> tuple[Doubles, Doubles]:
    """gain and loss of an integrate population: payload = gain * sum + bias, within loss payloads.

    All cuts together round the sum once, to nearest: half a unit of the last state.  The multiplier
    carries that along, and its own division rounds to nearest once more: half a payload, nothing
    where it is a whole number.  Shapes [1] or [n].
    """
    p = population.params
    multiplier = np.atleast_1d(np.asarray(p["multiplier"], np.float64))
    factor = multiplier / 2.0 ** np.atleast_1d(np.asarray(p["divide"], np.float64))
    lost = 0.5 * any(p["cut"])
    rounded = 0.5 * (factor != np.rint(factor))
    return factor / 2.0 ** sum(p["cut"]), np.abs(factor) * lost + rounded


def beyond(population: Population, exact: Doubles, offset: int = 0) -> Doubles:
    """How far the exact result lies outside what the payload may be: saturation loses that."""
    low = (population.params.get("low", -WORD_LIMIT) - offset) * population.unit
    high = (population.params.get("high", WORD_LIMIT) - offset) * population.unit
    return np.asarray(np.maximum(exact - high, 0.0) + np.maximum(low - exact, 0.0))


def limited(bound: Bound, over: Callable[[Doubles], Doubles], exact: Doubles) -> Bound:
    """Saturation only ever draws a result nearer to its limit; there nothing is foreseen."""
    touched = (over(exact) > 0) | (over(exact + bound.foreseen) > 0)
    more = over(exact) + touched * np.abs(bound.foreseen)
    return Bound(bound.foreseen, bound.constants, np.asarray(bound.rounding + more))


def rescaled(
    population: Population, share: Doubles | float, size: Doubles, exact: Doubles, offset: int = 0
) -> Bound:
    """A sum whose terms are multiplied by 1 + share, size the sum of their magnitudes."""
    _, loss = rescaling(population)
    rounding = np.broadcast_to(np.max(loss) * population.unit, exact.shape)
    bound = Bound(np.asarray(exact * share), np.asarray(size * np.abs(share)), rounding)
    return limited(bound, lambda y: beyond(population, y, offset), exact)

"""staircase: how far firing neurons may be from the values they stand for; a part of bounds.

A neuron's spikes are a staircase of its value, known exactly.  What the chip changes is the value:
its multiplier has 15 bits, so near the edge of a stair it may stand on the next one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bounds.bound import Bound
from compiler.netlist.model import Netlist, Population
from las_neuro.neurons.firing import LEAK, Firing, decoded, graded

Doubles = NDArray[np.float64]
SLACK = 1e-9  # of a value: what doubles lose


def spikes(net: Netlist, population: Population, code: Firing, x: Doubles, exact: Doubles) -> Bound:
    """Of what the neurons send for x [B, S, *axes]."""
    step = net.units(population.name) / code.step

    def stairs(values: Doubles) -> Doubles:
        return np.asarray(decoded(code, values) * step)

    return _bound(stairs, _flat(x), _moved(net, population, code, _flat(x)), exact)


def left(net: Netlist, population: Population, code: Firing, m: Doubles, exact: Doubles) -> Bound:
    """Of what potentials m [B, S, *axes] leave for the next repetition (kind `leak`)."""
    source, x = _source(net, population), _flat(m)
    gain = population.params["gain"] / 2.0 ** population.params["divide"]
    share = gain * population.unit / source.unit / (LEAK * code.unit)

    def rest(values: Doubles) -> Doubles:
        return np.asarray(share * LEAK * values * (code.unit - decoded(code, values)))

    return _bound(rest, x, _moved(net, population, code, x), exact, 0.5 * population.unit)


def written(net: Netlist, population: Population, x: Doubles, exact: Doubles) -> Bound:
    """Of what a memory is given whose channels have steps of their own.

    It is read in units of the memory: what a multiplier is off by stays in the value.
    """
    p = population.params
    code = graded(population.unit, p["high"], 1, int(p["level"]), lift=p["lift"])
    moved = _moved(net, population, code, _flat(x))
    return _bound(lambda values: decoded(code, values), _flat(x), moved, exact)


def _bound(
    stairs: Callable[[Doubles], Doubles],
    x: Doubles,
    moved: Doubles,
    exact: Doubles,
    rounding: float = 0.0,
) -> Bound:
    """Where a value stands on a staircase is foreseen; moved either way it may be a stair off."""
    found = stairs(x)
    ends = [np.abs(stairs(x + way * moved) - found) for way in (1, -1)]
    wrong, near = found.reshape(exact.shape) - exact, np.maximum(*ends) + rounding
    return Bound(wrong, np.abs(wrong), near.reshape(exact.shape))


def _flat(x: Doubles) -> Doubles:
    return x.reshape(*x.shape[:2], -1)


def _moved(net: Netlist, population: Population, code: Firing, x: Doubles) -> Doubles:
    """How far the compartment's own multiplier moves a value."""
    p, source = population.params, _source(net, population)
    factor = np.asarray(p["multiplier"], np.float64) / 2.0 ** np.asarray(p["shift"])
    share = np.abs(factor / (source.unit * code.factor) - 1.0) + SLACK
    return np.asarray(np.abs(x) * share)


def _source(net: Netlist, population: Population) -> Population:
    return net.populations[next(g.source for g in net.into(population.name) if g.port == "x")]

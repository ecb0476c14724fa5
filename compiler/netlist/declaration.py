"""declaration: check that a population's parameters fit its kind's declaration and each other."""

from __future__ import annotations

import math

import numpy as np

from compiler.netlist.faults import need
from compiler.netlist.kinds import KINDS
from compiler.netlist.model import ROLES, Population

MOST_COMPARTMENTS = 1 << 40  # of one population


def declaration(name: str, population: Population) -> None:
    """Check a population's name, kind and axes, and its parameters against the kind's declaration.

    Raises NetlistError at the first fault.
    """
    at = f"population `{name!s:.160}`"
    plain = name.isprintable() and "/" not in name and name.strip(". ") == name != ""
    need(name == population.name and plain, at, f"is called {population.name!r:.80}")
    need(population.kind in KINDS, at, f"{population.kind!r:.80} is no kind of compartment")
    need(population.role in ROLES, at, f"{population.role!r:.80} is no role of a population")
    need(population.steps, at, "is never updated")
    sizes = list(population.axes.values())
    need(all(type(size) is int and size >= 1 for size in sizes), at, f"axes {sizes}")
    need(math.prod(sizes) <= MOST_COMPARTMENTS, at, f"{math.prod(sizes)} compartments")
    expected, names = set(population.does.params), set(population.params)
    need(not names - expected, at, f"{population.kind} has no {sorted(names - expected)}")
    missing = {key for key in expected - names if population.does.params[key].chip}
    need(not missing, at, f"{sorted(missing)} missing")
    for key in population.params:
        _parameter(population, key)
    if population.does.check is not None:
        population.does.check(population)


def _parameter(population: Population, key: str) -> None:
    at, value = f"{population.label}, {key}", population.params[key]
    param = population.does.params[key]
    if param.per == "step":
        count = len(population.steps)
        need(isinstance(value, tuple) and len(value) == count, at, f"is not {count} integers")
    elif isinstance(value, np.ndarray) and value.dtype == np.int64 and value.ndim == 1:
        n = population.n
        need(param.per != "population", at, "is one integer, not an array")
        fits = len(value) if param.per == "table" else len(value) in (1, n)
        need(fits, at, f"{len(value)} values for {n}")
    else:
        need(param.per == "population", at, "is no array of int64")
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        need(whole, at, f"{value!r:.40} is no integer")
    ends = (min(value), max(value)) if isinstance(value, tuple) else (np.min(value), np.max(value))
    least, most = param.range
    fits = least <= ends[0] and ends[1] <= most
    need(fits, at, f"{ends[0]}..{ends[1]} is not in {least}..{most}")

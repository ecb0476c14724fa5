"""network: the lowered network, which still knows real numbers; `fold_scales` makes it a netlist.

Populations, synapse groups and host tables are those of a netlist, but each population's rescaling
is a real number until the sums it divides are known, and it stands in a phase instead of at steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.model import Network, Population

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Scaling:
    """What a compartment multiplies its sum or value by, in real numbers, [n], [1] or one number.

    factor: payloads (or potential units) a unit of the sum.  bias: payloads added, where the kind
    adds any.  gain: of kinds with a second multiplication, what that one multiplies by.
    """

    factor: Doubles | float
    bias: Doubles | float = 0.0
    gain: Doubles | float | None = None


@dataclass(frozen=True)
class LoweredPopulation(Population):
    """A population before its numbers are integers; `params` holds those that are already."""

    scaling: Scaling | None = None
    phase: int = 0


@dataclass(frozen=True)
class Addition:
    """What a node may have more of once its range is known: at most these, and one time step."""

    node: str
    populations: int
    compartments: int


@dataclass
class LoweredNetwork(Network[LoweredPopulation]):
    """What lowering rules draw and the scheduling passes complete.

    additions: of nodes without a range, as in a plan; empty after calibration.
    """

    populations: dict[str, LoweredPopulation] = field(default_factory=dict)
    additions: list[Addition] = field(default_factory=list)


def verify(net: LoweredNetwork) -> None:
    """Raise ValueError (a bug) unless parameters are integers and synapses join populations."""
    for name, population in net.populations.items():
        if population.name != name:
            raise ValueError(f"population {population.name} is listed as {name}")
        undeclared = set(population.params) - set(population.does.params)
        if undeclared:
            raise ValueError(f"{name}: {population.kind} declares no {sorted(undeclared)}")
        for key, value in population.params.items():
            if not _integers(value):
                raise ValueError(f"{name}: parameter {key} is {value!r:.60}, not integers")
    for group in net.synapses:
        for end in (group.source, group.target):
            if end not in net.populations:
                raise ValueError(f"synapses {group.name}: there is no population {end}")


def _integers(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return bool(value.dtype == np.int64)
    parts = value if isinstance(value, tuple) else (value,)
    return all(isinstance(part, int | np.integer) for part in parts)

"""network: the lowered network, which still has real numbers; `fold_scales` makes it a netlist.

It has the populations, synapse groups and host tables of the netlist.  But each population's
rescaling factor is a real number until the sums it divides are known, and until `schedule` a
population has a phase and no time steps.
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
    """Real factors by which compartments rescale their sum or value: [n], [1] or one number.

    factor: payloads (or units of the potential) per unit of the sum.  bias: payloads added, for
    kinds that have a bias.  gain: second factor, for kinds with two multiplications.
    """

    factor: Doubles | float
    bias: Doubles | float = 0.0
    gain: Doubles | float | None = None


@dataclass(frozen=True)
class LoweredPopulation(Population):
    """A population whose rescaling is still real; `params` holds its integer parameters."""

    scaling: Scaling | None = None
    phase: int = 0


@dataclass(frozen=True)
class Addition:
    """Upper bound of what a node may add once its range is known; also one time step at most."""

    node: str
    populations: int
    compartments: int


@dataclass
class LoweredNetwork(Network[LoweredPopulation]):
    """The network that lowering rules build and the scheduling passes complete.

    additions: for nodes without a range, as in a plan; empty after calibration.
    """

    populations: dict[str, LoweredPopulation] = field(default_factory=dict)
    additions: list[Addition] = field(default_factory=list)


def verify(net: LoweredNetwork) -> None:
    """Raise ValueError (a bug) unless parameters are integers and synapses connect populations."""
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

"""check_kinds: with --builtin-only, refuse compartments that need custom microcode."""

from __future__ import annotations

from compiler.lowering.network import LoweredNetwork
from compiler.passes.contract import Pass
from compiler.task import Task
from las_neuro.errors import UnsupportedError


def check_kinds(net: LoweredNetwork, task: Task) -> LoweredNetwork:
    """Raise UnsupportedError for the first population that no built-in Lava process equals."""
    for population in net.populations.values():
        if population.does.lava is None:
            raise UnsupportedError(
                f"population {population.name} is of kind {population.kind}, which no built-in "
                "Lava process equals",
                "leave out --builtin-only: the simulators run every kind",
            )
    return net


PASS = Pass(
    check_kinds,
    "lowered",
    "lowered",
    needs=("populations",),
    leaves=("built-in kinds",),
    applies=lambda task: task.options.builtin_only,
)

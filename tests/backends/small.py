"""Small netlists by hand, and what they compute."""

from __future__ import annotations

from typing import Any

import numpy as np
from wiring import wire

from compiler.netlist.model import (
    Dense,
    Gather,
    HostTable,
    InMemory,
    Netlist,
    Pattern,
    Population,
    Synapses,
)

SUM: dict[str, Any] = {
    "shift": (0,),
    "cut": (0,),
    "multiplier": np.array([1]),
    "divide": np.array([0]),
    "bias": np.array([0]),
    "low": -8388607,
    "high": 8388607,
    "gated": 0,
    "safe": 0,
}


def entry(name: str, rows: Any, *, source: str = "token", **axes: int) -> Any:
    """An input population at step 0, and its table."""
    table = HostTable(name, source, 0, InMemory(np.array(rows, np.int32)))
    return Population(name, "input", axes, {}, (0,), (0,), -1), table


def summer(name: str, *steps: int, axes: dict[str, int], **params: Any) -> Population:
    """Sums arrivals of its steps and sends at the last of them."""
    return Population(name, "integrate", axes, {**SUM, **params}, steps, steps[-1:], 0)


def dense(source: str, target: str, weights: list[list[int]]) -> Synapses:
    return Synapses(source, target, "a", Dense(InMemory(np.array(weights, np.int8))))


def dense_net(**params: Any) -> Netlist:
    """d 2 -> e 2 through weights [[2, 1], [-1, 3]], cut to -10..10.

    Token 0 gives 5 and -6, token 1 gives 5 and 15, token 2 is silent.
    """
    source, table = entry("in", [[3, -1], [0, 5], [0, 0]], d=2)
    out = summer("out", 1, axes={"e": 2}, low=-10, high=10, **params)
    return wire([source, out], [dense("in", "out", [[2, 1], [-1, 3]])], tables=[table])


def two_step_net() -> Netlist:
    """Two groups into one port, a step apart.

    in [h 2, d 2] -> turned: the compartments backwards, the second and third negative.
    late: as they are; rows: sums of late over d.
    out [h 2]: turned summed over d, and 3 times rows.
    """
    source, table = entry("in", [[1, 2, 3, 4], [0, 0, 0, -7]], h=2, d=2)
    turned = summer("turned", 1, axes={"h": 2, "d": 2})
    rows = summer("rows", 2, axes={"h": 2})
    late = summer("late", 1, axes={"h": 2, "d": 2})
    out = summer("out", 2, 3, axes={"h": 2}, shift=(0, 0), cut=(0, 0))
    turn = Gather(np.array([3, 2, 1, 0], np.int32), np.array([1, -1, -1, 1], np.int8))
    same = Pattern(("h", "d"), ("h", "d"))
    along = Pattern(("h", "d"), ("h",))
    return wire(
        [source, turned, late, rows, out],
        [
            Synapses("in", "turned", "a", turn),
            Synapses("in", "late", "a", same),
            Synapses("late", "rows", "a", along),
            Synapses("turned", "out", "a", along),
            Synapses("rows", "out", "a", Pattern(("h",), ("h",), 3)),
        ],
        tables=[table],
    )

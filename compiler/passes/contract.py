"""contract: what a pass declares; the driver in compiler/pipeline.py checks its results against it.

A pass is one file of this folder with one function,

    def NAME(network, task: Task) -> network

and its declaration `PASS`.  Whether the network is a graph, a lowered network or a netlist follows
from `level`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from compiler.task import Task

LEVELS = {
    "none": "no network yet: the first pass reads the checkpoint",
    "model": "a graph of the Transformer's own operators",
    "spiking": "a graph of spike encoders, linear maps of spikes, memories and scalar functions",
    "phased": "a spiking graph whose nodes have phases",
    "lowered": "populations and synapse groups with real rescaling factors",
    "netlist": "populations and synapse groups of integers only",
}


@dataclass(frozen=True)
class Pass:
    """Declaration of one pass.

    run: the function.  level: of its input, result: of its output, both keys of LEVELS.
    needs: facts that earlier passes must have established.  leaves: facts it establishes; a pass
    whose facts are all established already is skipped.
    reads_weights: a plan, which knows shapes only, skips it.
    applies: whether the task's options ask for it.
    """

    run: Callable[[Any, Task], Any]
    level: str
    result: str
    needs: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    reads_weights: bool = False
    applies: Callable[[Task], bool] = lambda task: True

    @property
    def name(self) -> str:
        return self.run.__name__

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (self.run.__doc__ or "").strip().splitlines()[0]

"""contract: what a pass declares; the driver in compiler/pipeline.py holds it to that.

A pass is one file of this folder with one function of one signature,

    def NAME(network, task: Task) -> network

and its declaration `PASS`.  The network is a graph, a lowered network or a netlist, as `level`
says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from compiler.task import Task

LEVELS = {
    "none": "nothing yet: the checkpoint is read",
    "model": "a graph of the Transformer's own operators",
    "spiking": "a graph of spike encoders, linear maps of spikes, memories and scalar functions",
    "phased": "the same, each node in a phase",
    "lowered": "populations and synapse groups with real rescaling factors",
    "netlist": "populations and synapse groups of integers only",
}


@dataclass(frozen=True)
class Pass:
    """Declaration of one pass.

    level: what it works on, result: what it gives, both of LEVELS.  needs: facts that passes before
    it must have left; leaves: facts it adds.  A pass whose facts are there already is skipped.
    reads_weights: a plan, which knows shapes alone, skips it.  applies: whether these options ask
    for it at all.
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
        """The first line of the pass's file."""
        return (self.run.__doc__ or "").strip().splitlines()[0]

"""partition: choose the target, cut populations and dense groups into tiles and blocks on cores."""

from __future__ import annotations

from compiler.mapping import partition as cut
from compiler.mapping.limits import fitting_target
from compiler.mapping.spread import spread
from compiler.netlist.model import Netlist
from compiler.passes.contract import Pass
from compiler.task import Task


def partition(net: Netlist, task: Task) -> Netlist:
    """The netlist with a placement; cores are numbered as they were filled, until `place`.

    Raises TargetError where the named target, or with "auto" the largest one, is too small.
    """
    task.progress("place", 0, 2)
    target = fitting_target(net, task.options.target)
    fewest = cut.layout(net, target)
    task.record["fewest_cores"] = fewest.cores
    return cut.partition(net, target, spread(net, target, fewest))


PASS = Pass(partition, "netlist", "netlist", needs=("integers",), leaves=("cores",))

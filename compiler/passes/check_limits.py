"""check_limits: compare the placed netlist with every limit of its target."""

from __future__ import annotations

from compiler.mapping import limits
from compiler.netlist.model import Netlist
from compiler.passes.contract import Pass
from compiler.targets import load
from compiler.task import Task


def check_limits(net: Netlist, task: Task) -> Netlist:
    """Raise TargetError, which names the population, the need and the limit with its source."""
    assert net.placement is not None
    limits.check_limits(net, load(net.placement.target))
    task.progress("place", 2, 2)
    return net


PASS = Pass(check_limits, "netlist", "netlist", needs=("mesh",), leaves=("limits",))

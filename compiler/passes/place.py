"""place: give each core a position on the mesh, so that messages travel few hops."""

from __future__ import annotations

from compiler.mapping import place as mesh
from compiler.netlist.model import Netlist
from compiler.passes.contract import Pass
from compiler.targets import load
from compiler.task import Task


def place(net: Netlist, task: Task) -> Netlist:
    """The same tiles and blocks on renumbered cores; the hops saved go to `task.record`."""
    assert net.placement is not None
    task.progress("place", 1, 2)
    placed, task.record["placement"] = mesh.place(net, load(net.placement.target))
    return placed


PASS = Pass(place, "netlist", "netlist", needs=("cores",), leaves=("mesh",))

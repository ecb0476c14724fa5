"""compiler: from a spiking graph to a netlist of integer compartments, placed on cores.

    from compiler import compile
    net = compile("path/to/model")

Importing this package reads no torch: only what touches weights does.
"""

# Imported here and not lazily: `compile` must name the function, not the module it lives in.
from compiler.compile import compile

__all__ = ["compile"]

"""compiler: from a checkpoint to a netlist of integer compartments, placed on cores.

    from compiler import compile
    net = compile("path/to/model")

The import names `compiler` and `hwsim` are fixed by the project's brief.  Importing this package
does not import torch: only the modules that read weights do.
"""

# Imported here and not lazily: both names must be the functions, not the modules they live in.
from compiler.compile import compile
from compiler.convert import convert, plan_graph

__all__ = ["compile", "convert", "plan_graph"]

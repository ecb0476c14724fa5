"""threads: how many threads torch may use."""

from __future__ import annotations

import os

import torch

from compiler.netlist.model import Dense, Netlist

SMALL = 1 << 25  # synapses; below this number, synchronising threads costs more than they gain


def limit_threads(net: Netlist) -> None:
    """Limit torch to one thread for a small netlist, which is fastest when it runs token by token.

    Affects the whole process; OMP_NUM_THREADS has precedence.
    """
    shapes = [group.form.weights.shape for group in net.synapses if isinstance(group.form, Dense)]
    if "OMP_NUM_THREADS" not in os.environ and sum(a * b for a, b in shapes) < SMALL:
        torch.set_num_threads(1)

"""threads: how many threads torch may use."""

from __future__ import annotations

import os

import torch

from compiler.netlist.model import Dense, Netlist

SMALL = 1 << 25  # synapses; below, threads lose more time meeting than they gain


def spare_threads(net: Netlist) -> None:
    """For a whole process that feeds a small netlist token by token: one thread is fastest."""
    shapes = [group.form.weights.shape for group in net.synapses if isinstance(group.form, Dense)]
    if "OMP_NUM_THREADS" not in os.environ and sum(a * b for a, b in shapes) < SMALL:
        torch.set_num_threads(1)

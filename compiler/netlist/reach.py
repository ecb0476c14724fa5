"""reach: upper bounds of sums, by which the compiler proves widths and the fast engine checks them.

The worst case of one time step is that every source sends its largest payload, with the sign of its
weight.  `reach` assumes digit 1 of each source; a spike of b binary digits gives at most 2**b - 1
times as much, and several digits less than the power of two above the highest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.model import Dense, Gather, Population, Synapses, Written
from compiler.netlist.wiring import Wiring


def largest_spikes(population: Population) -> NDArray[np.int64]:
    """Largest |payload| of digit 1 by compartment, [n]; 2**outlier_shift of possible outliers."""
    ones = np.ones(population.n, np.int64)
    return ones * population.does.spikes.unit_payload(population.params)


def dense_reach(weights: NDArray[np.int8], population: Population) -> int:
    """Largest |sum| of one step with all digits 1, through weights [n_post, n_pre]."""
    sums = np.abs(weights.astype(np.int64)) @ largest_spikes(population)
    return int(sums.max(initial=0))


def reach(wiring: Wiring, group: Synapses) -> int:
    """Largest |sum| of digits 1 in one step at any compartment of the group's target.

    Of a pointer one compartment sends, so that sums over its slots have one term.
    """
    source, target = wiring.ends(group)
    if isinstance(group.form, Dense):
        return dense_reach(group.form.weights.load(), source)
    digit = int(largest_spikes(source).max())
    if isinstance(group.form, Gather) or source.does.one_hot:
        summed = 1
    else:
        sizes = [size for axis, size in source.axes.items() if axis not in target.axes]
        summed = int(np.prod(sizes, dtype=np.int64))
    return summed * digit * (group.form.limit if isinstance(group.form, Written) else 1)


def volley_reach(wiring: Wiring, group: Synapses) -> int | None:
    """Largest |sum| of all spikes of a window, for a source whose spikes have equal weight.

    None for a source whose spikes are graded values or digits of different weight.
    """
    source = wiring.net.populations[group.source]
    volley = source.does.spikes.volley
    return None if volley is None else reach(wiring, group) * volley(source.params)


def digit_widths(wiring: Wiring, name: str) -> tuple[int, ...]:
    """Binary digits that each spike of a population's train stands for; () for graded values."""
    source: Population = wiring.net.populations[name]
    return source.does.spikes.code(source.params, len(source.sends)).widths

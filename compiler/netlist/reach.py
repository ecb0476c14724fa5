"""reach: how far sums can go; the proof of widths that the compiler makes and the engine repeats.

The worst case of one time step: every source that could spike does, with its largest payload and
the sign that hurts.  `reach` counts digit 1 of each source; a spike of b binary digits gives at
most 2**b - 1 times as much, and a run of digits less than the power of two above its top one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.model import Dense, Pattern, Population, Synapses
from compiler.netlist.wiring import Wiring


def largest_spikes(population: Population) -> NDArray[np.int64]:
    """Largest |payload| of digit 1 by compartment, [n]: 2**k where an outlier may be coded."""
    ones = np.ones(population.n, np.int64)
    return ones * population.does.spikes.unit_payload(population.params)


def dense_reach(weights: NDArray[np.int8], population: Population) -> int:
    """Largest |sum| that digits 1 of one step through weights [n_post, n_pre] can give."""
    sums = np.abs(weights.astype(np.int64)) @ largest_spikes(population)
    return int(sums.max(initial=0))


def reach(wiring: Wiring, group: Synapses) -> int:
    """Largest |sum| of digits 1 in one step at any compartment of the group's target."""
    source, target = wiring.ends(group)
    if isinstance(group.form, Dense):
        return dense_reach(group.form.weights.load(), source)
    if isinstance(group.form, Pattern):
        summed = [size for axis, size in source.axes.items() if axis not in target.axes]
        return int(np.prod(summed, dtype=np.int64)) * _largest_sent(wiring, source)
    return _largest_sent(wiring, source)


def _largest_sent(wiring: Wiring, source: Population) -> int:
    """A store multiplies the digit that reads it by what it holds."""
    coder = wiring.coder(source.name)
    digit = 1 if coder is None else int(largest_spikes(coder).max())
    return int(source.params["limit"]) * digit if source.does.recalled_by else digit


def volley_reach(wiring: Wiring, group: Synapses) -> int | None:
    """Largest |sum| that all spikes of a source that count alike give together, at any step.

    None: the source's spikes are graded values, or digits of different weight.
    """
    source = wiring.net.populations[group.source]
    volley = source.does.spikes.volley
    return None if volley is None else reach(wiring, group) * volley(source.params)


def digit_widths(wiring: Wiring, name: str) -> tuple[int, ...]:
    """Binary digits that each spike of a population's train stands for; () for graded values."""
    coder = wiring.coder(name)
    if coder is None:
        return ()
    return coder.does.spikes.code(coder.params, len(coder.sends)).widths

"""reach: how far sums can go; the proof of widths that the compiler makes and the engine repeats.

The worst case of one time step: every source that could spike does, with its largest payload and
the sign that hurts.  `reach` counts digit 1 of each source; a spike of b binary digits gives at
most 2**b - 1 times as much, and a run of digits less than the power of two above its top one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.kinds.fire import largest_sent
from compiler.netlist.model import Dense, Network, Pattern, Population, Synapses


def largest_spikes(encoder: Population) -> NDArray[np.int64]:
    """Largest |payload| of digit 1 by compartment, [n]: 2**k where an outlier may be coded."""
    ones = np.ones(encoder.n, np.int64)
    if encoder.kind == "fire":
        return np.asarray(ones << encoder.params["lift"])
    if not encoder.params.get("outlier_shift"):
        return ones
    return np.where(encoder.params["outliers"] != 0, 1 << encoder.params["outlier_shift"], ones)


def dense_reach(weights: NDArray[np.int8], encoder: Population) -> int:
    """Largest |sum| that digits 1 of one step through weights [n_post, n_pre] can give."""
    return int((np.abs(weights.astype(np.int64)) @ largest_spikes(encoder)).max(initial=0))


def reach(net: Network[Any], group: Synapses) -> int:
    """Largest |sum| of digits 1 in one step at any compartment of the group's target."""
    source, target = net.populations[group.source], net.populations[group.target]
    if isinstance(group.form, Dense):
        return dense_reach(group.form.weights.load(), source)
    if isinstance(group.form, Pattern):
        summed = [size for axis, size in source.axes.items() if axis not in target.axes]
        return int(np.prod(summed, dtype=np.int64)) * _largest_sent(net, source)
    return _largest_sent(net, source)


def _largest_sent(net: Network[Any], source: Population) -> int:
    """A memory multiplies the digit that reads it by what it holds."""
    if source.kind != "memory":
        return int(largest_spikes(source).max())
    reader = read_by(net, source.name)
    return int(source.params["limit"]) * (
        1 if reader is None else int(largest_spikes(reader).max())
    )


def volley_reach(net: Network[Any], group: Synapses) -> int:
    """Largest |sum| that all spikes of a firing source together can give, at any step."""
    source = net.populations[group.source]
    return reach(net, group) * sum(largest_sent(source.params))


def digit_widths(net: Network[Any], name: str) -> tuple[int, ...]:
    """Binary digits that each spike of a population's train stands for; () for graded values."""
    source = net.populations[name]
    if source.kind == "memory":
        reader = read_by(net, name)
        return () if reader is None else digit_widths(net, reader.name)
    if source.kind == "fire":
        return ()
    if source.kind == "encode":
        digits, width = source.params["digits"], source.params["digit_bits"]
        return tuple(min(width, digits - low) for low in range(0, digits, width))
    return (1,) * len(source.sends) if len(source.sends) > 1 else ()


def read_by(net: Network[Any], memory: str) -> Population | None:
    """The population whose spikes a memory multiplies by what it holds."""
    readers = (group.source for group in net.into(memory) if group.port == "read")
    return next((net.populations[name] for name in readers), None)

"""prove_widths: choose the cuts that keep every sum of a long code inside 24 bits, and prove it.

Needs: schedule and weights.  Leaves: `shift`, `cut` and `safe` on every integrate population.
Digits come least significant first and step t counts 2**(t - c), c being the bits cut away so far:
a cut divides the state by 2**bits just before the next digit would not surely fit any more.  The
proof is the worst case, every digit set and every sign against us: sum over synapses of |weight| *
2**steps.  Where even one step cannot be proven, every step is cut and the run counts the wraps.
"""

from __future__ import annotations

import numpy as np

from compiler.netlist.arrays import WORD_LIMIT
from compiler.netlist.model import (
    Dense,
    Netlist,
    Pattern,
    Population,
    Synapses,
    largest_spikes,
    reach,
)


def prove_widths(net: Netlist) -> Netlist:
    """Positional shifts and cuts for coded inputs; plain sums get none and are counted."""
    reaches = {group.target: 0 for group in net.synapses}
    for group in net.synapses:
        if group.port == "a" and net.populations[group.target].kind == "integrate":
            reaches[group.target] += _reach(net, group)
    for name, population in net.populations.items():
        if population.kind != "integrate":
            continue
        steps = len(population.steps)
        params = dict(population.params)
        if "shift" in params:
            params |= {"cut": (0,) * steps, "safe": 1}
        elif not _coded(net, name):
            params |= {"shift": (0,) * steps, "cut": (0,) * steps, "safe": 0}
        else:
            params |= cuts(steps, reaches[name])
        net.update(name, params=params)
    return net


def _coded(net: Netlist, name: str) -> bool:
    return any(len(net.populations[group.source].sends) > 1 for group in net.into(name))


def cuts(steps: int, largest: int) -> dict[str, object]:
    """The fewest cuts, each of the fewest bits: what is left fills the word.

    largest: the largest sum of one step.  With c bits cut so far, the sum after step t is at most
    largest * 2**(t + 1 - c) + 1, which fits while t + 1 - c <= room.  In the end exactly
    steps - room bits have to be cut away.
    """
    room = _bits((WORD_LIMIT - 2) // max(largest, 1))
    shift, cut, done = [], [], 0
    for t in range(steps):
        full = t - done == max(room, 1)
        cut.append(min(t - done, max(steps - room, 0) - done) if full else 0)
        done += cut[-1]
        shift.append(t - done)
    return {"shift": tuple(shift), "cut": tuple(cut), "safe": int(room >= 1)}


def _bits(x: int) -> int:
    """Largest r with 2**r <= x; 0 for x < 1."""
    return max(0, int(x).bit_length() - 1)


def _reach(net: Netlist, group: Synapses) -> int:
    """Largest |input| of one time step at any compartment of the target."""
    source, target = net.populations[group.source], net.populations[group.target]
    if isinstance(group.form, Dense):
        return reach(group.form.weights.load(), source)
    if isinstance(group.form, Pattern):
        summed = [size for axis, size in source.axes.items() if axis not in target.axes]
        return int(np.prod(summed, dtype=np.int64)) * _largest_recalled(net, source)
    return _largest_recalled(net, source)


def _largest_recalled(net: Netlist, source: Population) -> int:
    """A memory multiplies the digit that reads it by what it holds."""
    if source.kind != "memory":
        return int(largest_spikes(source).max())
    reader = next(group.source for group in net.into(source.name) if group.port == "read")
    return int(source.params["limit"]) * int(largest_spikes(net.populations[reader]).max())

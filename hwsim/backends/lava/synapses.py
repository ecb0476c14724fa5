"""Synapse groups as weights of Lava's own connection processes, and checks that sums fit int32.

Of the nine bits of a mixed-sign weight Lava keeps the top ones, as many as the synapse has, and it
shifts the sum by `weight_exp`.  So w << 9 - bits with weight_exp bits - 9 gives exactly w for all
weights of that many bits (2 * w is stored for int8).  Lava's sums are int32 and wrap silently at
2**31, so for each payload the sender checks that no sum of the group can get there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.model import (
    Dense,
    Gather,
    Netlist,
    Pattern,
    Population,
    Synapses,
    Written,
    slice_limit,
)
from hwsim.backends.lava.written import OFFSET
from las_neuro.errors import BackendError
from las_neuro.integers import Ints

SUM_LIMIT = 2**31  # of shifted weight * payload


@dataclass(frozen=True)
class Reach:
    """Bounds of the sums of one group, from its weights."""

    group: str
    weight: int  # largest |w|
    row: int  # largest sum of |w| over a target's synapses
    limit: int  # of a sum; groups that share a port divide it among them

    def check(self, payload: Ints) -> None:
        """Raise BackendError where a sum of these payloads [n_pre] could reach the limit."""
        size = np.abs(payload)
        bound = min(int(size.max(initial=0)) * self.row, int(size.sum()) * self.weight)
        if bound >= self.limit:
            raise BackendError(
                f"sums of {self.group} may reach {bound}, and Lava's int32 wraps them in silence",
                "use mode='fused', which sums in 64 bits, or the stepper",
            )


def width(group: Synapses) -> int:
    """Bits of a group's synapses."""
    return group.form.bits if isinstance(group.form, Dense) else 8


def shift(group: Synapses) -> int:
    """Bits by which a group's weights are shifted left; its `weight_exp` shifts sums back."""
    return 9 - width(group)


def matrix(net: Netlist, group: Synapses) -> Any:
    """Shifted weights [n_post, n_pre], int32: numpy for a dense group, scipy csr for the others.

    Raises BackendError where a weight does not fit 8 bits.
    """
    source, target = net.populations[group.source], net.populations[group.target]
    if isinstance(group.form, Dense):
        return group.form.weights.load().astype(np.int32) << shift(group)
    if isinstance(group.form, Gather):
        columns, weights = group.form.index.astype(np.int64), group.form.weight.astype(np.int32)
    else:
        assert isinstance(group.form, Pattern)
        columns = _columns(source, target)
        weights = np.full(columns.size, group.form.weight, np.int32)
    if weights.size and (weights.min() < -128 or weights.max() > 127):
        raise BackendError(
            f"{group.name}: weights {weights.min()} to {weights.max()} do not fit Lava's 8 bits",
            "use mode='fused'",
        )
    from scipy.sparse import csr_matrix  # type: ignore[import-untyped, unused-ignore]

    starts = np.arange(target.n + 1) * (columns.size // target.n)
    return csr_matrix((weights << shift(group), columns, starts), shape=(target.n, source.n))


def _columns(source: Population, target: Population) -> NDArray[np.int64]:
    """Source compartments of a pattern, target by target; each target has the same number."""
    of_source, of_target = _shared(source, target), _shared(target, source)
    by_key = np.argsort(of_source, kind="stable").reshape(int(of_source.max()) + 1, -1)
    return by_key[of_target].reshape(-1)


def _shared(one: Population, other: Population) -> NDArray[np.int64]:
    """For each compartment of `one`, its index along the axes that `other` has too."""
    sizes = [size for axis, size in one.axes.items() if axis in other.axes]
    places = np.arange(int(np.prod(sizes, dtype=np.int64)))
    shape = [size if axis in other.axes else 1 for axis, size in one.axes.items()]
    whole = np.broadcast_to(places.reshape(shape or [1]), list(one.axes.values()) or [1])
    return whole.reshape(-1)


def reach(net: Netlist, group: Synapses, shifted: Any) -> Reach:
    """Bounds of a group's sums, from its matrix of shifted weights."""
    up = shift(group)
    size = abs(shifted)  # numpy or csr: the calls below work on both
    rows = np.asarray(size.sum(axis=1, dtype=np.int64)).reshape(-1)
    sharing = sum(other.port == group.port for other in net.into(group.target))
    limit = (SUM_LIMIT >> up) // sharing
    return Reach(group.name, int(size.max()) >> up, int(rows.max(initial=0)) >> up, limit)


def written_reach(net: Netlist, group: Synapses) -> Reach:
    """Bounds of a group whose weights are written, from its limit."""
    assert isinstance(group.form, Written)
    source, target = net.populations[group.source], net.populations[group.target]
    summed = [size for axis, size in source.axes.items() if axis not in target.axes]
    largest = slice_limit(group.form.slices) + OFFSET
    sharing = sum(other.port == group.port for other in net.into(group.target))
    row = math.prod(summed) * largest
    return Reach(group.name, largest, row, SUM_LIMIT // sharing)


def is_dense(group: Synapses) -> bool:
    """Whether Lava's Dense process carries the group, not its Sparse process."""
    return not isinstance(group.form, Gather | Pattern)

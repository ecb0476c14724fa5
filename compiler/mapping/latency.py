"""latency: the time of one token on a target, from the work of the busiest core in each time step.

A step takes as long as its slowest part: the barrier, the synaptic events of a core, or the updates
of its compartments, at the target's peak rates (the max-affine form of Timcheck et al., arXiv
2601.10035).  Contention on the mesh is left out.

The counts are inputs: a plan estimates them from shapes, an audit takes those of a run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compiler.targets.target import Target

BASIS = "estimate: peak core rates, no mesh contention"


@dataclass(frozen=True)
class Latency:
    """Time of one token in microseconds, by what bounds each step; the parts add to `total_us`."""

    steps: int  # of the schedule
    partial_sum_steps: int  # additional: a sum from another core arrives one step later
    barrier_us: float  # steps bound by the barrier
    events_us: float  # steps bound by one core's synaptic events
    updates_us: float  # steps bound by one core's compartment updates
    partial_sums_us: float
    basis: str = BASIS

    @property
    def total_us(self) -> float:
        return self.barrier_us + self.events_us + self.updates_us + self.partial_sums_us


def latency(
    target: Target, events: NDArray[np.float64], updates: NDArray[np.float64], waits: int
) -> Latency:
    """The time of a token.

    events, updates: synaptic events and compartment updates of the busiest core, [steps].
    waits: number of additional steps, each as long as a barrier, for partial sums from other cores.
    """
    barrier = float(target.time.barrier_us)
    events_us = events * float(target.time.synaptic_event_ns) / 1e3
    updates_us = updates * float(target.time.neuron_update_ns) / 1e3
    slow = np.maximum(events_us, updates_us)
    bound_by_events = (slow > barrier) & (events_us >= updates_us)
    bound_by_updates = (slow > barrier) & ~bound_by_events
    return Latency(
        len(events),
        waits,
        barrier * int((slow <= barrier).sum()),
        float(events_us[bound_by_events].sum()),
        float(updates_us[bound_by_updates].sum()),
        barrier * waits,
    )

"""phase: multi-base phase coding (Distribution-aware multi-granularity phase coding, ICLR 2026).

Generalises LAS: the spike of step t stands for d[t], a power of any base and not only of 2, and
threshold and reset equal d[t].  The potential starts at half a last place, so that values are
rounded.  Graded payloads carry d[t], since shifts give no base other than 2.

Base and range of each site are found by search (ours; the paper learns them by gradient).  Over a
given range, base 2 has the smallest last place without gaps; a larger base has a smaller one still,
but gaps between large values, which pays off where steps are few.  Channels whose calibrated peak
exceeds the range form the outlier group, like LAS's second threshold: their spikes count 2**j.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from las_neuro.checkpoint import Checkpoint
from las_neuro.graph import Graph
from las_neuro.neurons.firing import Firing, phase, powers
from las_neuro.neurons.thresholds import MARGIN, PER_OCTAVE, Site
from las_neuro.systems import las
from las_neuro.systems.sites import linear_inputs, with_weight_bits

BASES = (2.0, 2.1, 2.2, 2.3, 2.5, 3.0)  # below 2, codes repeat values: never nearer
LARGEST = 2**15  # payload, before its lift
MOST_LIFT = 5
NEGLIGIBLE = 0.5  # share of the error that values have before they are coded
FULL = 2**23  # what a receiver's word holds


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Phase:
    """Multi-base phase coding (ICLR 2026): LAS with searched bases and a half-LSB offset.

    Inputs of linear maps; `published` is LAS's own neuron: base 2, no offset, strict threshold.
    """

    steps: Annotated[int, Field(ge=1, le=16)] = 8
    published: bool = False
    outliers: bool = True  # channels beyond the range count in units of 2**j
    weight_bits: Annotated[int, Field(ge=2, le=8)] = 8

    def spiking(self, model: Graph, checkpoint: Checkpoint | None = None) -> Graph:
        return with_weight_bits(las.spiking(model), self.weight_bits)

    def threshold(self, graph: Graph) -> Graph:
        return linear_inputs(graph, lambda node, site: self.code(site))

    def code(self, site: Site | None) -> Firing:
        """The first code of negligible error, its range widened while that holds; else the best."""
        if site is None:
            return phase(1.0, powers(2.0, self.steps), published=self.published)
        negligible = NEGLIGIBLE * site.floor

        def error(code: Firing) -> float:
            return max(float(site.errors(code).sum()), negligible)

        best = min(self.trials(site), key=error)  # the first of equals
        for _ in range(int(PER_OCTAVE * np.log2(MARGIN))):
            wider = replace(best, unit=best.unit * 2 ** (1 / PER_OCTAVE))
            if error(wider) > negligible:
                break
            best = wider
        return best

    def trials(self, site: Site) -> Iterator[Firing]:
        """Codes of each base, the widest range first: from the peak to 2**-MOST_LIFT of it.

        No range exceeds the calibrated peaks: that would cost short codes more than clipping does.
        """
        peak, finest = float(site.peaks.max()), least_unit(site)
        for base in (2.0,) if self.published else BASES:
            values = powers(base, self.steps)
            ranges = peak / 2 ** (np.arange(PER_OCTAVE * MOST_LIFT + 1) / PER_OCTAVE)
            if values[0] > LARGEST:
                continue
            for theta in dict.fromkeys(np.maximum(ranges, finest * sum(values)).tolist()):
                beyond = np.ceil(np.log2(np.maximum(site.peaks / theta, 1.0)) - 1e-9)
                lift = beyond.clip(0, MOST_LIFT).astype(np.int64) if self.outliers else None
                yield phase(theta, values, lift=lift, spread=site.spread, published=self.published)


def least_unit(site: Site) -> float:
    """The finest unit at which the readers' sums of payloads times weights fit their word.

    A sum that wraps costs more than a fine unit gains; MARGIN times the sample's largest must fit.
    """
    spread, largest = 1.0 if site.spread is None else site.spread, 0.0
    for reader in site.readers:
        weight = reader.weights["weight"].load().astype(np.float64)  # [out, n]
        most = 2 ** (reader["weight_bits"] - 1) - 1
        steps = np.abs(weight * spread).max(axis=1) / most  # of each row's integer weights
        sums = np.abs(site.sample @ weight.T).max(axis=0)
        largest = max(largest, float((sums[steps > 0] / steps[steps > 0]).max(initial=0.0)))
    return MARGIN * largest / FULL


SYSTEM = Phase

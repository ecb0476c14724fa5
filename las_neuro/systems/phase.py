"""phase: multi-base phase coding (Distribution-aware multi-granularity phase coding, ICLR 2026).

Generalises LAS: the spike of step t stands for d[t], of any base and not of 2 alone, the threshold
and reset being equal to it, and the potential starts at half a last place, so that values are
rounded.  Base and range of each site are found by search (ours; the paper learns by gradient).
Graded payloads carry d, since no shift gives a base other than 2.
"""

from __future__ import annotations

import os
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from las_neuro.checkpoint import Checkpoint
from las_neuro.firing import Firing, phase
from las_neuro.graph import Graph
from las_neuro.systems import las
from las_neuro.systems.sites import linear_inputs, with_weight_bits
from las_neuro.thresholds import Site

BASES = (2.0, 1.9, 1.8, 1.7, 1.6, 1.5)
RANGES = 16 + 16  # of the peak, down by a quarter of an octave each
LARGEST = 2 ** int(os.environ.get("PH_LARGEST", 11))  # payload
MOST_LIFT = 5
PEAK = float(os.environ.get("PH_PEAK", 1))
LIFT = float(os.environ.get("PH_LIFT", 1))


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Phase:
    """Multi-base phase coding (ICLR 2026): LAS with bases learned and a half-LSB offset.

    Inputs of linear maps; `published` is LAS's own neuron: base 2, no offset, strict threshold.
    """

    steps: Annotated[int, Field(ge=1, le=63)] = 8
    published: bool = False
    outliers: bool = True
    weight_bits: Annotated[int, Field(ge=2, le=8)] = 8

    def spiking(self, model: Graph, checkpoint: Checkpoint | None = None) -> Graph:
        return with_weight_bits(las.spiking(model), self.weight_bits)

    def threshold(self, graph: Graph) -> Graph:
        return linear_inputs(graph, lambda node, site: self.code(site))

    def code(self, site: Site | None) -> Firing:
        if site is None:
            return phase(1.0, powers(2.0, self.steps), published=self.published)
        peak = PEAK * float(site.peaks.max()) or 1.0
        bases = (2.0,) if self.published else BASES
        trials = [
            phase(
                theta,
                powers(base, self.steps),
                lift=self.lifts(site, theta),
                spread=site.spread,
                published=self.published,
            )
            for base in bases
            for theta in peak / 2 ** (np.arange(RANGES) / 4)
        ]
        errors = [float(site.errors(t).sum()) for t in trials]
        i = int(np.argmin(errors))
        t = trials[i]
        one = min(
            site.errors(
                phase(th, powers(b, self.steps), spread=site.spread, published=self.published)
            ).sum()
            for b in bases
            for th in peak / 2 ** (np.arange(16) / 4)
        )
        print(
            f"{site.sample.shape[1]:5d} base {bases[i // RANGES]} theta/peak 2^-{i % RANGES / 4} lifts {np.bincount(t.lift, minlength=6) if t.lift is not None else None} error {errors[i]:.3g} one {one:.3g} floor {site.floor:.3g}",
            file=__import__("sys").stderr,
        )
        return t

    def lifts(self, site: Site, theta: float):
        if not self.outliers:
            return None
        beyond = np.ceil(np.log2(np.maximum(LIFT * site.peaks / theta, 1.0)) - 1e-9)
        return beyond.clip(0, MOST_LIFT).astype(np.int64)


def powers(base: float, steps: int) -> tuple[int, ...]:
    """Spike values, largest first, as integers: base**t over the smallest, in fine enough units."""
    exact = base ** np.arange(steps - 1, -1, -1, dtype=np.float64)
    room = 1.0 if base == 2.0 else max(1.0, LARGEST / exact[0])
    return tuple(int(value) for value in np.maximum(np.rint(exact * min(room, 16.0)), 1))

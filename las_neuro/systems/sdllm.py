"""SDLLM: counts of symmetric spikes (arXiv 2604.16475; executable kin: SpikingBrain, 2509.05276).

Step 1 counts: c = round(x / V), V = mean|x| / k, calibrated here and then fixed (theirs is measured
for every token).  SpikingBrain has k = 3; the usual k here is 8, since 3 costs a tenth of the
perplexity and more on small models.  The membrane is clipped; channels that calibration saw beyond
the clip are the second group, whose spikes count 2**j.  Step 2 trains: `bitwise`, a signed spike a
binary digit of |c|; `ternary`, a spike of 1 or -1 a unit; `graded`, all in one spike.  No code of
SDLLM is public: k and the trains are SpikingBrain's, the clip and its second group a
reconstruction.  The paper's rotation is left out; each channel's gamma is the compiler's
evened-out threshold.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from las_neuro.checkpoint import Checkpoint
from las_neuro.codes import Code
from las_neuro.firing import Firing, graded
from las_neuro.graph import Graph
from las_neuro.systems import las
from las_neuro.systems.sites import linear_inputs, relative, with_weight_bits
from las_neuro.thresholds import MARGIN, Site

MOST_LIFT = 5


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class SdLlm:
    """SDLLM (arXiv 2604.16475): an activation becomes a symmetric spike count, then a spike train.

    Inputs of linear maps: round(x k / mean|x|), clipped; loud channels count in larger units.
    """

    steps: Annotated[int, Field(ge=1, le=63)] = 63  # the clip, the largest count
    k: Annotated[float, Field(gt=0, le=64)] = 8.0  # mean magnitude in spikes
    train: Literal["ternary", "bitwise", "graded"] = "bitwise"
    outliers: bool = True  # channels beyond the clip count in units of 2**j
    weight_bits: Annotated[int, Field(ge=2, le=8)] = 8

    def spiking(self, model: Graph, checkpoint: Checkpoint | None = None) -> Graph:
        return with_weight_bits(las.spiking(model), self.weight_bits)

    def threshold(self, graph: Graph) -> Graph:
        return linear_inputs(graph, lambda node, site: self.code(site))

    def code(self, site: Site | None) -> Firing | Code:
        clip, unit, lift, spread = self.steps, 1.0, None, None
        if site is not None:
            spread = site.spread
            unit = float(np.abs(relative(site)).mean()) / self.k or 1.0
            beyond = np.ceil(np.log2(np.maximum(site.peaks / (unit * clip), 1.0)))
            lift = beyond.clip(0, MOST_LIFT).astype(np.int64) if self.outliers else None
        if self.train == "bitwise":
            return self._digits(site, unit)
        high = np.array([clip])
        if self.train == "graded":
            return graded(unit, high, 1, clip, lift=lift, spread=spread)
        return graded(unit, high, clip, 1, lift=lift, spread=spread)

    def _digits(self, site: Site | None, unit: float) -> Code:
        """Bits of |c| with its sign; a value beyond the clip is coded whole, 2**j coarser."""
        digits = self.steps.bit_length()
        code = Code(digits, unit * 2**digits)
        if site is None:
            return code
        code = replace(code, spread=site.spread)
        outliers = MARGIN * site.peaks > code.theta
        if not (self.outliers and outliers.any()):
            return code
        shift = int(np.ceil(np.log2(MARGIN * site.peaks.max() / code.theta)))
        return replace(code, outlier_shift=min(max(shift, 1), 7), outliers=outliers)

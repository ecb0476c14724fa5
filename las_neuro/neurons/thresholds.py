"""thresholds: each encoder's thresholds, and the digits a channel may skip, by measured error.

In: an encoder's calibrated peaks and a sample of its values, and the nodes that read it.  Out: its
code.  A code's error is the mean square of what its rounding does to the sample, each channel
weighted by the squared norm of its column in the linear maps that read it.

`search` tries a series of normal thresholds.  MARGIN times the calibrated peak of every channel
stays codable: a channel that goes beyond the normal threshold gets an outlier compartment, and the
outlier threshold is 2**k times the normal one (k whole: on chip a shift).  An outlier payload
widens the sums of all receivers by 2**k, so the error is weighed against the share of channels that
need one, and against the error that values have anyway, from weights of 8 bits.  Short codes
therefore take the outliers they need, long codes few or none.

`spared` gives channels their own time steps as SpikeLLM does (arXiv 2407.04752): channels that
matter little skip their lowest digits, until the error has grown by the share that is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from las_neuro.graph import Node
from las_neuro.neurons.codes import Code, decode, encode, spike_counts
from las_neuro.neurons.firing import Firing, decoded

Doubles = NDArray[np.float64]

MARGIN = 3.0  # over the calibrated peak of each channel, for text that calibration did not see
PER_OCTAVE = 4  # normal thresholds tried per octave
MOST_SHIFT = 7  # an outlier payload is a signed byte
OUTLIERS_COST = 0.25  # share added to the error if all channels have an outlier compartment
INT8_ERROR = 0.003  # of a value's root mean square: its error from int8 weights before it
FINE_PLANE = 128  # how many times smaller it is with two planes
ALLOWED = 0.25  # growth of the whole error by skipped digits
HALVINGS = 50  # of the interval that holds the price of a spike


@dataclass(frozen=True)
class Site:
    """The values of one encoder, and how much an error in each counts for its readers."""

    sample: Doubles  # [tokens, n]
    peaks: Doubles  # [n], each channel's divided by its spread
    spread: Doubles | None
    weight: Doubles  # [n], of a channel's squared error
    floor: float  # weighted squared error that the values have before they are coded
    readers: tuple[Node, ...] = ()

    @staticmethod
    def of(node: Node, readers: Sequence[Node]) -> Site:
        """The site of a calibrated encoder."""
        node_range = node.range
        assert node_range is not None
        assert node_range.channel_peak is not None
        assert node_range.sample is not None
        sample, spread = node_range.sample.astype(np.float64), node["spread"]
        peaks = node_range.channel_peak.astype(np.float64) / (1.0 if spread is None else spread)
        weight = _column_norms(readers, len(peaks))
        planes = max((reader["planes"] for reader in readers if reader.op == "linear"), default=1)
        relative = INT8_ERROR / FINE_PLANE ** (planes - 1)
        floor = relative**2 * float((sample**2 @ weight).mean())
        return Site(sample, peaks, spread, weight, floor, tuple(readers))

    def errors(self, code: Code | Firing) -> Doubles:
        """Weighted mean squared error of each channel [n]."""
        if isinstance(code, Firing):
            error = self.sample - decoded(code, self.sample)
        else:
            error = self.sample - decode(code, *encode(code, self.sample))
        return np.asarray(self.weight * (error**2).mean(axis=0))

    @property
    def gram(self) -> Doubles:
        """W^T W [n, n] of all the linear maps that read the encoder."""
        weights = [reader.weights["weight"].load().astype(np.float64) for reader in self.readers]
        return np.asarray(sum(weight.T @ weight for weight in weights))


def _column_norms(readers: Sequence[Node], n: int) -> Doubles:
    """Squared norms [n]; ones if no linear map reads the spikes (queries)."""
    total = np.zeros(n)
    for reader in readers:
        if reader.op == "linear":
            weight = reader.weights["weight"].load()
            total += np.asarray(np.einsum("ij,ij->j", weight, weight))
    return total if total.any() else np.ones(n)


def search(site: Site, steps: int, form: str, ranges: int = 2) -> Code:
    """The code of least error; with one range, its threshold is MARGIN times the peak."""
    top = MARGIN * float(site.peaks.max())
    best, least = _single(site, steps, form, top), math.inf
    for place in range(PER_OCTAVE * MOST_SHIFT + 1 if ranges == 2 else 0):
        theta = top / 2 ** (place / PER_OCTAVE)
        outliers = MARGIN * site.peaks > theta * (1 + 1e-9)
        code = _single(site, steps, form, theta)
        if outliers.any():
            shift = max(1, math.ceil(place / PER_OCTAVE))
            code = replace(code, outlier_shift=shift, outliers=outliers)
        error = float(site.errors(code).sum()) + site.floor
        cost = error * (1 + OUTLIERS_COST * float(outliers.mean()))
        if cost < least:
            best, least = code, cost
    return best


def _single(site: Site, steps: int, form: str, theta: float) -> Code:
    return Code(steps, theta, form=form, spread=site.spread)


def spared(site: Site, code: Code) -> Code:
    """The same code with skipped digits: fewest spikes while the error grows by at most ALLOWED.

    Each channel picks the s that minimises error + price * spikes (Lagrange); the one price for all
    channels is the highest that the allowed error pays.
    """
    errors, spikes = [], []
    for skipped in range(code.digits):
        trial = replace(code, skipped=np.full(len(site.peaks), skipped, np.int64))
        errors.append(site.errors(trial))
        spikes.append(spike_counts(code, encode(trial, site.sample)[0]).mean(axis=0))
    error, spike = np.array(errors), np.array(spikes)  # [digits, n]
    most = error[0].sum() + ALLOWED * (error[0].sum() + site.floor)
    low, high = 0.0, float(error.max()) + 1e-30  # at `high` a spike costs more than any error
    for _ in range(HALVINGS):
        price = math.sqrt(max(low, high * 1e-20) * high)
        choice = (error + price * spike).argmin(axis=0)
        fits = np.take_along_axis(error, choice[None], axis=0).sum() <= most
        low, high = (price, high) if fits else (low, price)
    return replace(code, skipped=(error + low * spike).argmin(axis=0).astype(np.int64))

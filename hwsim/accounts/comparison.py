"""Comparison of a run with the ANN it came from: multiply-accumulates (MACs) for the same tokens.

MACs of the ANN: each weight of each linear map once per token, and in attention each stored number
of K and V once per token that attends to it.  Nothing else of the ANN is counted: norms, softmax
and activations are a few per cent of a Transformer's arithmetic.  Where the spiking network has
several repetitions (SpikeLM), only the first is counted for the ANN.

`spikes_per_input` is synaptic events per MAC of the linear maps: how often a synapse is used where
the ANN uses its weight once.  Below 4.6 / 0.9 = 5.1 the spiking network is cheaper by the formula
that papers use (4.6 pJ per MAC, 0.9 pJ per event).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from compiler.netlist.model import Dense, Netlist, Synapses, Written
from hwsim.backends.counters import Counters
from hwsim.energy import Bill, Profile
from hwsim.energy.bill import JOULE


@dataclass(frozen=True)
class Ratio:
    """ANN and spiking energy under one profile, in joules for the whole run.

    paper: as papers count, synaptic events only, one addition each.  full: all that the profile
    prices: graded events as multiplications, compartment updates, idle steps.  active: `full`
    without idle steps.
    """

    profile: str
    ann_joules: float
    paper_joules: float
    active_joules: float
    full_joules: float

    @property
    def paper(self) -> float:
        """Spiking / ANN energy; below 1 the spiking network is cheaper, NaN without an ANN."""
        return self._over_ann(self.paper_joules)

    @property
    def active(self) -> float:
        return self._over_ann(self.active_joules)

    @property
    def full(self) -> float:
        return self._over_ann(self.full_joules)

    def _over_ann(self, joules: float) -> float:
        return joules / self.ann_joules if self.ann_joules else float("nan")


@dataclass(frozen=True)
class AnnComparison:
    """Work of the ANN on the run's tokens, and the energy ratios."""

    dense_macs: int
    attention_macs: int
    attention_basis: str  # "exact" if the sequences' lengths are known, else "estimate"
    dense_events: int  # synaptic events of the same linear maps
    ratios: tuple[Ratio, ...]

    @property
    def macs(self) -> int:
        return self.dense_macs + self.attention_macs

    @property
    def spikes_per_input(self) -> float:
        return self.dense_events / self.dense_macs if self.dense_macs else 0.0


def compare(
    net: Netlist,
    counters: Counters,
    lengths: Sequence[int] | None,
    bills: Sequence[tuple[Profile, Bill]],
    events: int,
) -> AnnComparison:
    """Compare a run with its ANN.

    lengths: tokens of each sequence; None: all are assumed to be equally long.  bills: the energy
    of the run under each profile.  events: synaptic events of the whole run.
    """
    dense, attention = dense_macs(net) * counters.tokens, attention_macs(net, counters, lengths)
    dense_events = sum(
        counters.events(net, group) for group in net.synapses if isinstance(group.form, Dense)
    )
    ratios = tuple(
        Ratio(
            profile.name,
            (dense + attention) * profile.ann_mac.value * JOULE,
            events * profile.paper_event.value * JOULE,
            sum(line.joules for line in bill.lines if line.what != "update_idle"),
            bill.joules,
        )
        for profile, bill in bills
        if profile.ann_mac is not None and profile.paper_event is not None
    )
    known = lengths is not None or counters.sequences == 1
    return AnnComparison(dense, attention, "exact" if known else "estimate", dense_events, ratios)


def dense_macs(net: Netlist) -> int:
    """MACs of the linear maps for one token; weight planes between two populations are one map."""
    maps = {
        (group.source, net.populations[group.target].node or group.target): group.form.weights.shape
        for group in net.synapses
        if isinstance(group.form, Dense) and not net.populations[group.target].repetition
    }
    return sum(rows * columns for rows, columns in maps.values())


def attention_macs(net: Netlist, counters: Counters, lengths: Sequence[int] | None) -> int:
    """MACs of both attention products over the whole run."""
    pairs = _pairs(net, counters, lengths)
    return round(sum(_macs_per_slot(net, group) for group in net.synapses) * pairs)


def _pairs(net: Netlist, counters: Counters, lengths: Sequence[int] | None) -> float:
    """Number of pairs of a token and a token it attends to, over all sequences."""
    if lengths is None:
        mean = counters.tokens / max(counters.sequences, 1)
        return counters.sequences * (mean * (mean + 1) / 2 if net.causal else mean * mean)
    return sum(n * (n + 1) / 2 if net.causal else n * n for n in lengths)


def _macs_per_slot(net: Netlist, group: Synapses) -> int:
    """MACs of one query with one position's keys or values; 0 for all other synapses.

    Keys and values are written weights that data read; those that a pointer reads wait or gate.
    """
    source, target = net.populations[group.source], net.populations[group.target]
    if not isinstance(group.form, Written) or target.repetition or source.does.one_hot:
        return 0
    slots = net.populations[group.form.pointer].n
    return math.prod({**source.axes, **target.axes}.values()) // slots

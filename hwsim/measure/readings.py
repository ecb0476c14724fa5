"""readings: the value of every graph node, read off the spikes of a run as real numbers.

A population of role `value` holds its node's value: the sum of its payloads, each
weighed as its code says, times the population's unit.  A memory's value is what was written to it.
Populations of other roles are parts and are not read.  An encoder netlist repeats nodes in later
phases.

The reference of a softmax is free: any number near the row's maximum gives the same result, and the
chip takes one up to half an octave above it.  `comparable` is the value as if the reference were
the maximum itself: numerators and what is made of them times e**excess, until the division.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from compiler.netlist.model import Dense, Netlist, Population
from compiler.netlist.wiring import Wiring
from hwsim.backends import find
from hwsim.backends.backend import RUN_SECONDS, Session
from las_neuro.integers import Ints

Tensor = torch.Tensor
Axes = dict[str, int]


@dataclass(frozen=True)
class Reading:
    """One node's value for the tokens `start`.. of a sequence, [B, S, *axes]."""

    node: str
    repeated: bool  # the copy of an earlier reading in a later phase
    start: int
    axes: Axes  # of the population; axis j, its slots, holds the tokens so far instead
    value: Tensor
    comparable: Tensor
    scale: Tensor | None  # comparable / value, or None where they are equal


OnReading = Callable[[Reading], None]


class Reader:
    """Makes readings of a netlist's spikes; one sequence, or a batch, after the other."""

    def __init__(self, net: Netlist, dtype: torch.dtype = torch.float32) -> None:
        self.net, self.dtype = net, dtype
        self.softmax = softmax_degrees(net)
        relative = [p for p in net.populations.values() if p.does.relative_to]
        self.wiring = Wiring(net)
        self.scores = {self.wiring.source(p.name, "x"): p.name for p in relative}
        self.tops = {self.wiring.source(p.name, p.does.relative_to): p.name for p in relative}
        self.highest: dict[str, Tensor] = {}
        self.excess: dict[str, tuple[Axes, Tensor]] = {}

    def read(self, population: Population, sums: Tensor, start: int) -> Reading:
        """sums: weighed payloads [B, S, *axes], as `hwsim.backends.backend.Value` has them."""
        name, axes = population.name, population.axes
        sizes, slots = list(axes.values()), population.slot_axis
        if slots is not None:
            sums = by_token(sums, 2 + slots, sizes[slots], start)
            sizes[slots] = start + sums.shape[1]
        value = (sums - self._offset(name)).to(self.dtype) * self._unit(population)
        value = value.expand(*sums.shape[:2], *sizes)
        comparable, scale = value, None
        if name in self.scores:
            assert slots is not None
            self.highest[self.scores[name]] = value.amax(2 + slots)
        if name in self.tops:
            comparable = self.highest[self.tops[name]]
            self.excess[self.tops[name]] = axes, value - comparable
        elif name in self.softmax:
            exponential, degree = self.softmax[name]
            scale = torch.exp(degree * _along(*self.excess[exponential], axes))
            comparable = value * scale
        return Reading(population.node, population.repeated, start, axes, value, comparable, scale)

    def _offset(self, name: str) -> int:
        """Scores and their maximum stand above 0 so that a live slot never sends silence."""
        exponential = self.scores.get(name) or self.tops.get(name)
        if exponential is None:
            return 0
        scores = self.net.populations[self.wiring.source(exponential, "x")]
        return int(np.max(scores.params["bias"]))

    def _unit(self, population: Population) -> float | Tensor:
        if population.role == "written":  # what reads a memory reads it in the memory's unit
            return population.unit
        units = self.net.units(population.name)
        if units.size == 1:
            return float(units[0])
        return torch.from_numpy(units).to(self.dtype).reshape(list(population.axes.values()))


def by_token(x: Tensor, place: int, slots: int, start: int) -> Tensor:
    """Axis j of x [B, S, ...] as all tokens so far, silent where a token's slot is taken again.

    Token t writes slot t % slots; the axis holds what each token finds in the slots.
    """
    now = start + torch.arange(x.shape[1])
    if start + x.shape[1] <= slots:
        return x.narrow(place, 0, start + x.shape[1])
    shape = list(x.shape)
    shape[place] = start + x.shape[1]
    held = now[:, None] - (now[:, None] - torch.arange(slots)) % slots  # [S, slots]; < 0: nothing
    spread = [1] * x.ndim
    spread[1], spread[place] = held.shape
    held = held.reshape(spread).expand_as(x)
    return x.new_zeros(shape).scatter_add_(place, held.clamp(min=0), x * (held >= 0))


def operator(net: Netlist, population: Population) -> str:
    """What a node does, as far as its population tells."""
    if population.role == "written":
        return "memory"
    dense = any(isinstance(group.form, Dense) for group in net.into(population.name))
    return "linear" if dense else population.kind


def softmax_degrees(net: Netlist) -> Mapping[str, tuple[str, int]]:
    """Population -> the exponential it is proportional to, and to which power.

    Encoders and sums pass a numerator on, a product adds powers and a reciprocal turns
    the sign, so that numerators over their sum come out at 0 and are left out.
    """
    wiring = Wiring(net)
    degrees: dict[str, tuple[str, int]] = {}
    for population in net.populations.values():
        if population.does.relative_to:
            degrees[population.name] = population.name, 1
            continue
        # A written weight multiplies what reads it, and no numerator is ever written.
        sources = _operands(wiring, population)
        read = [degrees[source.name] for source in sources if source.name in degrees]
        degree = sum(power for _, power in read) * population.does.degree(population.params)
        if read and degree:
            degrees[population.name] = read[0][0], degree
    return degrees


def _operands(wiring: Wiring, population: Population) -> list[Population]:
    """The first source of each port that takes an operand."""
    groups = [wiring.into(population.name, port)[:1] for port in ("x", "a", "b")]
    return [wiring.ends(group)[0] for first in groups for group in first if not group.feedback]


def _along(has: Axes, x: Tensor, wants: Axes) -> Tensor:
    """x [B, S, *has] with size 1 on the axes it lacks."""
    for place, axis in enumerate(wants):
        if axis not in has:
            x = x.unsqueeze(2 + place)
    return x


def open_readings(
    net: Netlist,
    backend: str,
    on_reading: OnReading,
    timeout: float = RUN_SECONDS,
    dtype: torch.dtype = torch.float32,
) -> Session:
    """A session on a backend of which every node is read."""
    reader = Reader(net, dtype)

    def on_value(population: Population, sums: Ints, start: int) -> None:
        on_reading(reader.read(population, torch.from_numpy(sums), start))

    return find(backend).open(net, on_value=on_value, timeout=timeout)

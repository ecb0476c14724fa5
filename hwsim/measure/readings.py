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
from compiler.netlist.trains import Digits, Graded, Train, Volley
from compiler.netlist.wiring import Wiring
from hwsim.backends.counters import Counters
from hwsim.generate import LAVA_SECONDS, check_backend
from las_neuro.integers import Ints
from las_neuro.rows import Rows

Tensor = torch.Tensor
Axes = dict[str, int]
READ = ("value", "written")  # roles that send a node's value


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
        self.holds = {p.name for p in net.populations.values() if p.role in READ}
        self.softmax = softmax_degrees(net)
        relative = [p for p in net.populations.values() if p.does.relative_to]
        self.wiring = Wiring(net)
        self.scores = {self.wiring.source(p.name, "x"): p.name for p in relative}
        self.tops = {self.wiring.source(p.name, p.does.relative_to): p.name for p in relative}
        self.highest: dict[str, Tensor] = {}
        self.excess: dict[str, tuple[Axes, Tensor]] = {}

    def read(
        self, population: Population, sums: Tensor, start: int, *, entries: bool = False
    ) -> Reading:
        """sums: weighed payloads [B, S, *axes], where an axis that says nothing may have size 1.

        entries: axis j is as the fast engine has it, else slots.
        """
        name, axes = population.name, population.axes
        sizes, slots = list(axes.values()), population.slot_axis
        if slots is not None:
            sums = by_token(sums, 2 + slots, sizes[slots], start, entries)
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


def by_token(x: Tensor, place: int, slots: int, start: int, entries: bool) -> Tensor:
    """Axis j of x [B, S, ...] as all tokens so far, silent where a token's slot is taken again.

    Token t writes slot t % slots.  entries: the axis holds the slots used before these tokens, then
    one entry a token (kinds/memory.py), else what each token finds in the slots.
    """
    now = start + torch.arange(x.shape[1])
    if start + x.shape[1] <= slots:
        return x.narrow(place, 0, start + x.shape[1])
    shape = list(x.shape)
    shape[place] = start + x.shape[1]
    if entries:
        before = torch.arange(min(start, slots))
        before = start - 1 - (start - 1 - before) % slots  # the last token that wrote the slot
        return x.new_zeros(shape).index_add_(place, torch.cat([before, now]), x)
    held = now[:, None] - (now[:, None] - torch.arange(slots)) % slots  # [S, slots]; < 0: nothing
    spread = [1] * x.ndim
    spread[1], spread[place] = held.shape
    held = held.reshape(spread).expand_as(x)
    return x.new_zeros(shape).scatter_add_(place, held.clamp(min=0), x * (held >= 0))


def positions(population: Population) -> tuple[int, ...]:
    """What a payload of each send counts: 2**position units."""
    count = len(population.sends)
    return population.does.spikes.code(population.params, count).positions or (0,) * count


def operator(net: Netlist, population: Population) -> str:
    """What a node does, as far as its population tells."""
    if population.role == "written":
        return "memory"
    dense = any(isinstance(group.form, Dense) for group in net.into(population.name))
    return "linear" if dense else population.kind


def softmax_degrees(net: Netlist) -> Mapping[str, tuple[str, int]]:
    """Population -> the exponential it is proportional to, and to which power.

    Encoders, sums and memories pass a numerator on, a product adds powers and a reciprocal turns
    the sign, so that numerators over their sum come out at 0 and are left out.
    """
    wiring = Wiring(net)
    found: dict[str, tuple[str, int]] = {}
    for population in net.populations.values():
        if population.does.relative_to:
            found[population.name] = population.name, 1
            continue
        # A memory multiplies what reads it by what it holds, which no numerator ever is.
        sources = _operands(wiring, population)
        coders = [wiring.coder(source.name) or source for source in sources]
        read = [found[coder.name] for coder in coders if coder.name in found]
        degree = sum(power for _, power in read) * population.does.degree(population.params)
        if read and degree:
            found[population.name] = read[0][0], degree
    return found


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


class Fast:
    """The fast engine: readings come as populations are computed, a batch at a time."""

    def __init__(
        self, net: Netlist, on_reading: OnReading, dtype: torch.dtype = torch.float32
    ) -> None:
        from hwsim.backends.fast.engine import Engine

        self.reader, self.on_reading = Reader(net, dtype), on_reading
        self.engine = Engine(net, count=False, on_train=self._train)

    @property
    def counters(self) -> Counters:
        return self.engine.counters

    def reset(self) -> None:
        self.engine.reset()

    def feed(self, rows: Rows) -> None:
        """The next tokens [B, S] of the sequences."""
        self.engine.run(rows)

    def _train(self, population: Population, train: Train, start: int) -> None:
        if population.name not in self.reader.holds:
            return
        if isinstance(train, Digits):
            sums = train.plane(0, len(train.positions), train.positions)
        elif isinstance(train, Volley):
            sums = train.plane(0, len(train.sent), (0,) * len(train.sent))
        else:
            assert isinstance(train, Graded)
            sums = train.value
        self.on_reading(self.reader.read(population, sums.cpu(), start, entries=True))


class Spikes:
    """The step engine or Lava: spikes are added up, and read when all tokens are through."""

    def __init__(
        self, net: Netlist, on_reading: OnReading, backend: str, timeout: float = LAVA_SECONDS
    ) -> None:
        from hwsim.backends.step.stepper import Stepper

        check_backend(backend)
        self.net, self.reader, self.on_reading = net, Reader(net), on_reading
        self.backend, self.timeout = backend, timeout
        self.stepper = Stepper(net, self._spike)
        self.counters = self.stepper.counters
        self.weight = {
            (p.name, step): position
            for p in net.populations.values()
            if p.name in self.reader.holds
            for step, position in zip(p.sends, positions(p), strict=True)
        }
        self.sums: dict[str, Ints] = {}
        self.start = 0

    def reset(self) -> None:
        self.stepper.reset()
        self.start = 0

    def feed(self, rows: Rows) -> None:
        """The next tokens [1, S]; Lava takes a whole sequence at once."""
        count = rows.shape[1]
        self.sums = {
            name: np.zeros((count, self.net.populations[name].n), np.int64)
            for name in self.net.populations
            if name in self.reader.holds
        }
        if self.backend == "step":
            self.stepper.run(rows[0])
        else:
            self._lava(rows)
        for name, sums in self.sums.items():
            population = self.net.populations[name]
            shaped = torch.from_numpy(sums.reshape(1, count, *population.axes.values()))
            self.on_reading(self.reader.read(population, shaped, self.start))
        self.start += count

    def _lava(self, rows: Rows) -> None:
        from hwsim.backends.lava import run

        made = run(self.net, rows[0], on_spike=self._spike, timeout=self.timeout)
        for name, count in made.counters.populations.items():
            self.counters.populations[name].clamps += count.clamps
            self.counters.populations[name].wraps += count.wraps

    def _spike(self, name: str, token: int, step: int, payload: Ints) -> None:
        if name in self.sums:
            self.sums[name][token - self.start] += payload << self.weight[name, step]


def open_run(
    net: Netlist, backend: str, on_reading: OnReading, timeout: float = LAVA_SECONDS
) -> Fast | Spikes:
    """A run of which every node is read."""
    check_backend(backend)
    return Fast(net, on_reading) if backend == "fast" else Spikes(net, on_reading, backend, timeout)

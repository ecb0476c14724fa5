"""The reference engine: time step by time step, in integers, without optimisation.

For each phase, each token, each step of the phase: deliver what was sent one step ago, call `step`
of every population whose schedule names this step, send, then write weights.  Slow and plain on
purpose: the fast engine and Lava are right when they give the same spikes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.kinds import Outcome, State, Word
from compiler.netlist.model import (
    Dense,
    Form,
    Gather,
    Netlist,
    Pattern,
    Population,
    Synapses,
    Written,
)
from compiler.netlist.wiring import Wiring
from hwsim.backends.backend import BUG, Spike
from hwsim.backends.counters import Counters
from hwsim.backends.host import Host
from las_neuro.errors import BackendError
from las_neuro.integers import WORD_BITS, Ints
from las_neuro.rows import Rows

PAYLOAD = Word(WORD_BITS)


@dataclass
class Delivery:
    """One synapse group with its weights loaded."""

    group: Synapses
    form: Form
    weights: NDArray[np.int64] | None  # [n_post, n_pre] of a dense group
    source: Population
    target: Population
    content: Content | None = None  # of a written group

    @staticmethod
    def of(wiring: Wiring, group: Synapses) -> Delivery:
        """Load a group's weights; those that are written start at 0."""
        weights = group.form.weights.load() if isinstance(group.form, Dense) else None
        wide = None if weights is None else weights.astype(np.int64)
        content = Content.of(wiring, group) if isinstance(group.form, Written) else None
        return Delivery(group, group.form, wide, *wiring.ends(group), content)

    def carry(self, payload: Ints) -> Ints:
        """Sums [n_post] that the target's dendrites receive for the payloads [n_pre] of a step."""
        if self.weights is not None:
            firing = np.flatnonzero(payload)
            return self.weights[:, firing] @ payload[firing]
        if isinstance(self.form, Gather):
            return payload[self.form.index] * self.form.weight.astype(np.int64)
        if self.content is not None:
            return self.content.carry(payload, self.source, self.target)
        assert isinstance(self.form, Pattern)
        return along(payload, self.source, self.target) * self.form.weight


@dataclass
class Content:
    """What one group of written synapses holds."""

    form: Written
    name: str
    axes: dict[str, int]
    array: Ints  # [*axes]

    @staticmethod
    def of(wiring: Wiring, group: Synapses) -> Content:
        assert isinstance(group.form, Written)
        axes = wiring.net.content_axes(group.form)
        return Content(group.form, group.name, axes, np.zeros(list(axes.values()), np.int64))

    def carry(self, payload: Ints, source: Population, target: Population) -> Ints:
        """What the target's dendrites receive, [n_post]: a product summed over axes it lacks."""
        letter = {axis: chr(ord("a") + i) for i, axis in enumerate({**source.axes, **self.axes})}
        kept = [axis for axis in target.axes if axis in letter]
        names = ("".join(letter[axis] for axis in axes) for axes in (source.axes, self.axes, kept))
        x = payload.reshape(list(source.axes.values()))
        sums = np.einsum("{},{}->{}".format(*names), x, self.array)
        shape = [size if axis in letter else 1 for axis, size in target.axes.items()]
        full = np.broadcast_to(sums.reshape(shape), list(target.axes.values()))
        return full.reshape(-1)

    def write(self, pointer: Ints, value: Ints) -> None:
        """The slots of the pointer's spikes take the value's payloads."""
        if int(np.abs(value).max()) > self.form.limit:
            raise BackendError(f"{self.name} is to hold more than +-{self.form.limit}", BUG)
        slots = np.moveaxis(self.array, self.form.slot_axis, 0)
        slots[np.flatnonzero(pointer)] = value.reshape(slots.shape[1:])


def contents_of(deliveries: Mapping[str, list[Delivery]]) -> list[Content]:
    """What the written groups among some deliveries hold."""
    every = (delivery.content for groups in deliveries.values() for delivery in groups)
    return [content for content in every if content is not None]


def deliver(
    payloads: Mapping[str, Ints],
    deliveries: Mapping[str, list[Delivery]],
    contents: Iterable[Content],
    arriving: dict[tuple[str, str], Ints],
) -> None:
    """Send a step's payloads through the synapses into `arriving`, then write weights."""
    for name, payload in payloads.items():
        if not payload.any():
            continue
        for delivery in deliveries[name]:
            key = (delivery.group.target, delivery.group.port)
            sums = delivery.carry(payload)
            arriving[key] = arriving[key] + sums if key in arriving else sums
    for content in contents:
        if content.form.pointer in payloads:
            content.write(payloads[content.form.pointer], payloads[content.form.value])


def along(payload: Ints, source: Population, target: Population) -> Ints:
    """Payloads along a pattern, [n of source] -> [n of target].

    Sums over the axes that only the source has, copies along those that only the target has.
    """
    x = payload.reshape(list(source.axes.values()) or [1])
    over = tuple(i for i, axis in enumerate(source.axes) if axis not in target.axes)
    x = x.sum(axis=over) if over else x
    shape = [size if axis in source.axes else 1 for axis, size in target.axes.items()]
    return np.broadcast_to(x.reshape(shape or [1]), list(target.axes.values()) or [1]).reshape(-1)


class Stepper:
    """Runs a netlist step by step; states are kept from token to token until `reset`.

    on_spike(population, token, step, payload [n]) is called whenever a population sends.
    """

    def __init__(self, net: Netlist, on_spike: Spike | None = None) -> None:
        self.net = net
        self.host = Host(net)
        self.counters = Counters.of(net)
        self.on_spike = on_spike
        wiring = Wiring(net)
        self.deliveries = {
            name: [Delivery.of(wiring, group) for group in wiring.out_of(name)]
            for name in net.populations
        }
        self.contents = contents_of(self.deliveries)
        self.active: dict[int, list[Population]] = {}
        for population in net.populations.values():
            for step in population.steps:
                self.active.setdefault(step, []).append(population)
        self.reset()

    def reset(self) -> None:
        """Forget the sequence: all states and written weights 0, no spike under way."""
        self.states: dict[str, State] = {name: {} for name in self.net.populations}
        self.arriving: dict[tuple[str, str], Ints] = {}
        for content in self.contents:
            content.array[...] = 0
        self.tokens = 0

    def run(self, tokens: Rows) -> Ints:
        """Run tokens [count], or patches [count, pixels], of one sequence.

        Returns output payloads [count, n].  Raises PromptError where the sequence exceeds the
        context, BackendError where a number does not fit its word (a bug).
        """
        self.host.check(self.tokens + len(tokens))
        output = np.zeros((len(tokens), self.net.populations[self.net.output].n), np.int64)
        self.counters.add_tokens(self.net, len(tokens), sequences=int(self.tokens == 0))
        for first, stop in self.net.phases:
            for i, token in enumerate(tokens):
                rows = self.host.inject(token, self.tokens + i)
                for t in range(first, stop):
                    payloads = self._step(t, self.tokens + i, rows)
                    if self.net.output in payloads:
                        output[i] = payloads[self.net.output]
        self.tokens += len(tokens)
        return output

    def _step(self, t: int, token: int, rows: dict[str, Ints]) -> dict[str, Ints]:
        """One time step of the whole netlist: the payloads sent, by population.

        rows: payloads from the host, by input population.
        """
        arriving, self.arriving = self.arriving, {}
        payloads: dict[str, Ints] = {}
        for population in self.active.get(t, ()):
            inputs = self._inputs(population, arriving, rows)
            k = population.steps.index(t)
            name = population.name
            outcome = population.does.step(self.states[name], inputs, population.params, k)
            self.states[name] = outcome.state
            self._count(population, outcome)
            if t in population.sends:
                payloads[name] = outcome.payload
                if self.on_spike:
                    self.on_spike(name, token, t, outcome.payload)
        deliver(payloads, self.deliveries, self.contents, self.arriving)
        return payloads

    def _inputs(
        self,
        population: Population,
        arriving: dict[tuple[str, str], Ints],
        rows: dict[str, Ints],
    ) -> dict[str, Ints]:
        if "host" in population.does.ports:
            return {"host": rows[population.name]}
        zero = np.zeros(population.n, np.int64)
        return {port: arriving.get((population.name, port), zero) for port in population.does.ports}

    def _count(self, population: Population, outcome: Outcome) -> None:
        """Check that payload and states fit their words, and count."""
        hold_to_width(population, outcome)
        count = self.counters.populations[population.name]
        count.spikes += outcome.payload != 0
        count.clamps += outcome.clamps
        count.wraps += outcome.wraps


def hold_to_width(population: Population, outcome: Outcome) -> None:
    """Raise BackendError unless payload and states fit the words that the kind declares."""
    name, kind = population.name, population.does
    _fits(f"{name}'s payload", outcome.payload, PAYLOAD)
    for word, value in outcome.state.items():
        if word in kind.state:
            _fits(f"{name}'s {word}", value, kind.state[word])
        elif word not in kind.simulation_only:
            raise BackendError(f"{name} keeps {word}, which {kind.name} does not declare", BUG)


def _fits(what: str, x: Ints, word: Word) -> None:
    """Raise BackendError unless x is int64 and all its numbers fit the word."""
    least, most = word.range
    if x.dtype != np.int64 or int(x.min()) < least or int(x.max()) > most:
        raise BackendError(
            f"{what} is {x.dtype} from {x.min()} to {x.max()}, not an integer of"
            f" {word.bits} bits, {least} to {most}",
            BUG,
        )

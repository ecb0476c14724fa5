"""One population, or several together, as a Lava process model runs them; nothing of Lava in here.

The arithmetic is the kinds' own `step` and the stepper's own delivery, so what is left for Lava to
prove is time, order and wiring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from compiler.netlist.kinds import State
from compiler.netlist.model import Netlist, Population
from compiler.netlist.wiring import Wiring
from hwsim.backends.step.stepper import Delivery
from las_neuro.errors import BackendError
from las_neuro.integers import WORD_LIMIT, Ints, amount

Tick = tuple[int, int]  # token, step of its period


def ticks(net: Netlist, tokens: int) -> list[Tick]:
    """What each Lava time step is: phases, in each all tokens, in each the phase's steps."""
    return [
        (token, step)
        for first, stop in net.phases
        for token in range(tokens)
        for step in range(first, stop)
    ]


def in_word(x: Ints, what: str) -> Ints:
    """The same as int64, refused if it does not fit 24 bits."""
    if x.size and int(np.abs(x.astype(np.int64)).max()) > WORD_LIMIT:
        raise BackendError(
            f"{what} is {np.abs(x.astype(np.int64)).max()}, beyond 24 bits",
            "run it with the stepper and compare: this value must not reach Lava",
        )
    return x.astype(np.int64)


class Cell:
    """One population through a whole run, and what it sent."""

    def __init__(self, population: Population, rows: Ints | None, keep: bool) -> None:
        self.population = population
        self.rows = rows  # [tokens, n] from the host, for its input populations
        self.keep = keep
        self.place = {step: k for k, step in enumerate(population.steps)}
        self.state: State = {}
        self.sent: dict[Tick, Ints] = {}  # every spike, if kept
        self.last: dict[int, Ints] = {}  # token -> what it sent last
        self.spikes = np.zeros(population.n, np.int64)
        self.clamps = 0
        self.wraps = 0

    def step(self, tick: Tick, arriving: Mapping[str, Ints]) -> Ints | None:
        """The payload sent at this tick; None if the schedule has nothing to send."""
        token, step = tick
        if step not in self.place:
            return None
        p = self.population
        inputs = arriving if self.rows is None else {"host": self.rows[token].astype(np.int64)}
        outcome = p.does.step(self.state, inputs, p.params, self.place[step])
        if outcome.payload.dtype != np.int64:
            raise TypeError(f"{p.name} sent {outcome.payload.dtype} payloads")
        payload = in_word(outcome.payload, f"payload of {p.name} at token {token}, step {step}")
        self.state = outcome.state
        self.spikes += payload != 0
        self.clamps += outcome.clamps
        self.wraps += outcome.wraps
        if step not in p.sends:
            return None
        self.last[token] = payload
        if self.keep and amount(payload):
            self.sent[tick] = payload
        return payload


class Shard:
    """Some populations of a netlist stepped in one process, with all the synapses into them."""

    def __init__(self, net: Netlist, cells: Iterable[Cell]) -> None:
        self.cells = {cell.population.name: cell for cell in cells}
        self.arriving: dict[tuple[str, str], Ints] = {}
        wiring = Wiring(net)
        self.deliveries = {
            name: [Delivery.of(wiring, g) for g in wiring.out_of(name) if g.target in self.cells]
            for name in net.populations
        }

    def step(self, tick: Tick) -> dict[str, Ints]:
        """Use up what has arrived; gives the payloads sent, by population."""
        arriving, self.arriving = self.arriving, {}
        sent: dict[str, Ints] = {}
        for name, cell in self.cells.items():
            zero = np.zeros(cell.population.n, np.int64)
            inputs = {port: arriving.get((name, port), zero) for port in cell.population.does.ports}
            payload = cell.step(tick, inputs)
            if payload is not None:
                sent[name] = payload
        return sent

    def deliver(self, sent: Mapping[str, Ints]) -> None:
        """Put payloads, own or received, on the synapses; they are there in the next step."""
        for name, payload in sent.items():
            if not payload.any():
                continue
            for delivery in self.deliveries.get(name, ()):
                key = (delivery.group.target, delivery.group.port)
                carried = delivery.carry(payload)
                if key in self.arriving:
                    carried = self.arriving[key] + carried
                self.arriving[key] = carried

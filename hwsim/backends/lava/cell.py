"""One or several populations as a Lava process model runs them; this file does not need Lava.

The arithmetic is the kinds' own `step` and the stepper's delivery, so a run in Lava checks timing,
order and wiring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from compiler.netlist.kinds import State
from compiler.netlist.model import Netlist, Population
from compiler.netlist.wiring import Wiring
from hwsim.backends.step.stepper import Delivery, contents_of, deliver
from las_neuro.errors import BackendError
from las_neuro.integers import WORD_LIMIT, Ints, amount

Tick = tuple[int, int]  # token, step of its period


def ticks(net: Netlist, tokens: int) -> list[Tick]:
    """Token and step of each Lava time step: phase by phase, token by token, step by step."""
    return [
        (token, step)
        for first, stop in net.phases
        for token in range(tokens)
        for step in range(first, stop)
    ]


def in_word(x: Ints, what: str) -> Ints:
    """The same numbers as int64; raises BackendError where one does not fit 24 bits."""
    if x.size and int(np.abs(x.astype(np.int64)).max()) > WORD_LIMIT:
        raise BackendError(
            f"{what} is {np.abs(x.astype(np.int64)).max()}, beyond 24 bits",
            "run it with the stepper and compare: this value must not reach Lava",
        )
    return x.astype(np.int64)


class Cell:
    """One population during a run, with its state and the spikes it has sent."""

    def __init__(self, population: Population, rows: Ints | None, keep: bool) -> None:
        self.population = population
        self.rows = rows  # [tokens, n] from the host, for its input populations
        self.keep = keep
        self.place = {step: k for k, step in enumerate(population.steps)}
        self.state: State = {}
        self.payloads: dict[Tick, Ints] = {}  # with every spike, if `keep`
        self.last: dict[int, Ints] = {}  # token -> payload that it sent last
        self.spikes = np.zeros(population.n, np.int64)
        self.clamps = 0
        self.wraps = 0

    def step(self, tick: Tick, arriving: Mapping[str, Ints]) -> Ints | None:
        """Update at a tick: the payload sent [n], or None where the schedule has no send.

        arriving: sums [n] by port.
        """
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
            self.payloads[tick] = payload
        return payload


class Shard:
    """Populations of a netlist that run in one process, with all synapses into them."""

    def __init__(self, net: Netlist, cells: Iterable[Cell]) -> None:
        self.cells = {cell.population.name: cell for cell in cells}
        self.arriving: dict[tuple[str, str], Ints] = {}
        wiring = Wiring(net)
        self.deliveries = {
            name: [Delivery.of(wiring, g) for g in wiring.out_of(name) if g.target in self.cells]
            for name in net.populations
        }
        self.contents = contents_of(self.deliveries)

    def step(self, tick: Tick) -> dict[str, Ints]:
        """Update all populations with the sums that have arrived: payloads sent, by population."""
        arriving, self.arriving = self.arriving, {}
        payloads: dict[str, Ints] = {}
        for name, cell in self.cells.items():
            zero = np.zeros(cell.population.n, np.int64)
            inputs = {port: arriving.get((name, port), zero) for port in cell.population.does.ports}
            payload = cell.step(tick, inputs)
            if payload is not None:
                payloads[name] = payload
        return payloads

    def deliver(self, payloads: Mapping[str, Ints]) -> None:
        """Send payloads, own or received, through the synapses; they arrive in the next step.

        Then write weights.
        """
        deliver(payloads, self.deliveries, self.contents, self.arriving)

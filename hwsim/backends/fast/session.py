"""session: a session of the fast engine, and its trains as spikes and as values."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from compiler.netlist.model import Netlist, Population
from compiler.netlist.trains import Digits, Graded, Train, Volley
from hwsim.backends.backend import Spike, Value
from hwsim.backends.counters import Counters
from hwsim.backends.fast.engine import Engine, OnTrain
from hwsim.backends.fast.written import by_slot
from hwsim.backends.values import READ
from las_neuro.integers import Ints
from las_neuro.rows import Rows


class FastSession:
    """A `hwsim.backends.backend.Session`."""

    def __init__(
        self, net: Netlist, count: bool, on_spike: Spike | None, on_value: Value | None
    ) -> None:
        listeners = [spike_listener(on_spike)] if on_spike else []
        listeners += [value_listener(on_value)] if on_value else []

        def on_train(population: Population, train: Train, start: int) -> None:
            for listener in listeners:
                listener(population, train, start)

        self.engine = Engine(net, count=count, on_train=on_train if listeners else None)

    @property
    def counters(self) -> Counters:
        return self.engine.counters

    def reset(self) -> None:
        self.engine.reset()

    def feed(self, rows: Rows) -> Ints:
        payloads: Ints = self.engine.run(rows).cpu().numpy()
        return payloads


def spike_listener(on_spike: Spike) -> OnTrain:
    """A callback that passes the trains of batch entry 0 to `on_spike`, step by step."""

    def on_train(population: Population, train: Train, start: int) -> None:
        for k, step in enumerate(population.sends):
            payload = _whole(train.at(k, len(population.sends))[0], population, start)
            for i in np.flatnonzero(payload.any(axis=1)):
                on_spike(population.name, start + int(i), step, payload[i])

    return on_train


def _whole(payload: torch.Tensor, population: Population, start: int) -> NDArray[np.int64]:
    """Payloads [tokens, *axes], whose axes may have size 1 and entries, as [tokens, n]."""
    place = population.slot_axis
    if place is not None:
        slots = list(population.axes.values())[place]
        payload = by_slot(payload, 1 + place, slots, start, payload.shape[0])
    full = payload.expand(payload.shape[0], *population.axes.values())
    rows: NDArray[np.int64] = full.reshape(payload.shape[0], -1).cpu().numpy()
    return rows


def value_listener(on_value: Value) -> OnTrain:
    """A callback that passes trains to `on_value`, as sums of each token's payloads by slot."""

    def on_train(population: Population, train: Train, start: int) -> None:
        if population.role not in READ:
            return
        if isinstance(train, Digits):
            sums = train.plane(0, len(train.positions), train.positions)
        elif isinstance(train, Volley):
            sums = train.plane(0, len(train.payloads), (0,) * len(train.payloads))
        else:
            assert isinstance(train, Graded)
            sums = train.value
        place = population.slot_axis
        if place is not None and start + sums.shape[1] > (
            slots := list(population.axes.values())[place]
        ):
            sums = by_slot(sums, 2 + place, slots, start, sums.shape[1])
        on_value(population, sums.cpu().numpy(), start)

    return on_train

"""The fast engine: whole windows, all tokens of a phase at once; the same spikes as the stepper.

Every population is computed once per phase from closed-form trains (`window`), in dependency order.
A window of T steps costs one integer product per segment between cuts (2 or 3), not T products.
"""

from __future__ import annotations

from collections.abc import Callable
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import torch

from compiler.netlist.kinds import State
from compiler.netlist.model import Netlist, Population, Written
from compiler.netlist.trains import Graded, Train, Volley, narrow, view
from compiler.netlist.wiring import Wiring
from hwsim.backends.backend import BUG
from hwsim.backends.counters import Counters
from hwsim.backends.fast.delivery import Channel, channel, spikes_by_compartment
from hwsim.backends.fast.heap import keep_freed_arrays
from hwsim.backends.fast.written import Entries, write
from hwsim.backends.host import Host
from las_neuro.errors import BackendError
from las_neuro.integers import WORD_LIMIT
from las_neuro.rows import Rows

Tensor = torch.Tensor
CHUNK, FEWEST = 64, 16  # tokens of a piece
SCORES = 1 << 20  # of a piece, where FEWEST tokens have no more
WORD = torch.int32  # holds a 24-bit word; kinds widen their own products
Task = str | int  # a population to compute, or a group of written synapses by its number
OnTrain = Callable[[Population, Train, int], None]  # population, train, first token of the train


class Engine:
    """Runs a netlist by windows.  Written weights live on until `reset`."""

    def __init__(
        self,
        net: Netlist,
        *,
        device: str = "cpu",
        count: bool = True,
        on_train: OnTrain | None = None,
    ) -> None:
        keep_freed_arrays()
        self.net = net
        self.device = torch.device(device)
        self.count = count
        self.on_train = on_train
        self.host = Host(net)
        self.counters = Counters.of(net)
        wiring = Wiring(net)
        self.into = {
            name: [channel(wiring, i, self.device) for i, _ in wiring.numbered_into(name)]
            for name in net.populations
        }
        self.written = dict(wiring.written)
        self.params = {p.name: _on_device(p, self.device) for p in net.populations.values()}
        self.order = [_order(net, self.into, self.written, phase) for phase in net.phases]
        self.last = [_last_use(tasks, self.into, self.written) for tasks in self.order]
        self.scores = {(p.n // slots, slots) for p, slots in _by_slot(net)} or {(1, 1)}
        self.reset()

    def reset(self) -> None:
        """Forget the sequences: written weights 0, pointers at slot 0."""
        self.contents: dict[int, Tensor] = {}  # group -> [batch, *axes with slots used so far]
        self.states: dict[str, State] = {name: {} for name in self.net.populations}
        self.tokens = 0

    @torch.inference_mode()
    def run(self, tokens: Rows) -> Tensor:
        """Run the next tokens [batch, count] of each sequence; output payloads [batch, count, n].

        A decoder's tokens are cut into pieces, so that arrays stay in the cache.  A vision model
        gets patches [batch, count, pixels] instead.  Raises PromptError where a sequence exceeds
        the context, BackendError where a number does not fit its word (a bug).
        """
        self.host.check(self.tokens + tokens.shape[1])
        pieces, done = [], 0
        while done < tokens.shape[1]:
            size = self._piece(tokens.shape[0]) if self.net.causal else tokens.shape[1]
            pieces.append(self._run_piece(tokens[:, done : done + size]))
            done += size
        return torch.cat(pieces, dim=1)

    def _piece(self, batch: int) -> int:
        """Tokens of the next piece: fewer where each token has many attention scores."""
        scores = max(heads * min(slots, self.tokens + CHUNK) for heads, slots in self.scores)
        return max(FEWEST, min(CHUNK, SCORES // (batch * scores)))

    def _run_piece(self, tokens: Rows) -> Tensor:
        """Run all phases over tokens [batch, count]; output payloads [batch, count, n]."""
        start, (batch, count) = self.tokens, tokens.shape[:2]
        inputs = {
            name: torch.from_numpy(rows).to(self.device)
            for name, rows in self.host.inject_all(tokens, start).items()
        }
        blank = torch.zeros((batch, count), dtype=WORD, device=self.device)
        output: Tensor | None = None
        for tasks, last in zip(self.order, self.last, strict=True):
            trains: dict[str, Train] = {}
            self.entries = {group: Entries(held, None) for group, held in self.contents.items()}
            for task in tasks:
                if isinstance(task, int):
                    self._write(task, trains)
                elif task not in trains:  # the inner population of a loop comes with the outer
                    self._compute(self.net.populations[task], trains, inputs, blank)
                if task == self.net.output:
                    output = trains[self.net.output].value  # type: ignore[union-attr]
                for done in last.get(task, ()):
                    trains.pop(done, None)
        self.tokens += count
        if self.count:
            self.counters.add_tokens(self.net, batch * count, batch * (start == 0))
        assert output is not None
        axes = self.net.populations[self.net.output].axes.values()
        return output.expand(batch, count, *axes).reshape(batch, count, -1)

    def _compute(
        self,
        population: Population,
        trains: dict[str, Train],
        inputs: dict[str, Tensor],
        blank: Tensor,
    ) -> None:
        """Compute one population for all tokens; of a closed loop, both populations.

        inputs: payloads from the host, by input population.
        """
        name, kind, p = population.name, population.does, self.params[population.name]
        if "host" in kind.ports:
            rows = inputs[name].reshape(*blank.shape, *population.axes.values())
            return self._send(population, kind.window({}, {"host": rows}, p), trains)  # type: ignore[misc]
        arrivals = self._arrivals(population, trains)
        if kind.loop is not None:
            return self._close(population, arrivals["x"], trains)
        assert kind.window is not None
        result = kind.window(self.states[name], arrivals | {"tokens": blank}, p)
        self.states[name] = result.state
        self._send(population, result, trains)

    def _write(self, group: int, trains: dict[str, Train]) -> None:
        """The weights of one written group, for this window and after it."""
        form = self.written[group]
        pointer, value = (trains[name] for name in (form.pointer, form.value))
        assert isinstance(pointer, Graded)
        axes = self.net.populations[form.value].axes.values()
        payloads = value.at(0, 1)  # both send once
        payloads = payloads.expand(*payloads.shape[:2], *axes)
        if self.count and int(payloads.abs().max()) > form.limit:
            raise BackendError(f"{form.value} sent more than +-{form.limit} to be written", BUG)
        held = self.contents.get(group)
        self.entries[group], self.contents[group] = write(form, held, pointer.value, payloads)

    def _arrivals(self, population: Population, trains: dict[str, Train]) -> dict[str, Any]:
        """What reaches each port: a sum for each segment, or one sum."""
        p, kind = self.params[population.name], population.does
        arrivals: dict[str, Any] = {}
        channels = [c for c in self.into[population.name] if c.group.source in trains]
        for port, declaration in kind.ports.items():
            sources = [(c, trains[c.group.source]) for c in channels if c.group.port == port]
            if not sources:
                continue
            runs, shift = [(0, 1)], (0,)
            if declaration.form == "sum":
                assert kind.segments is not None
                runs, shift = kind.segments(p), p["shift"]
            each = [c.totals(t, runs, shift, self.entries.get(c.number)) for c, t in sources]
            sums = [_add(totals) for totals in zip(*each, strict=True)]
            arrivals[port] = sums if declaration.form == "sum" else sums[0]
        return arrivals

    def _close(self, population: Population, x: Tensor, trains: dict[str, Train]) -> None:
        """Compute a competition and its referee.

        Compartments compete with each other along the axes that the referee lacks.
        """
        back = next(c for c in self.into[population.name] if c.group.feedback)
        over = [2 + i for i, axis in enumerate(population.axes) if axis not in back.source.axes]
        assert population.does.loop is not None
        loop = population.does.loop(
            x, self.params[population.name], lambda v: v.amax(dim=over, keepdim=True)
        )
        referee = view(loop.inner, tuple(back.source.axes.values()))
        for member, train in ((population, loop.outer), (back.source, referee)):
            trains[member.name] = train
            self._count(member, train, 0, 0)

    def _send(self, population: Population, result: Any, trains: dict[str, Train]) -> None:
        train = None if result.train is None else narrow(result.train, WORD)
        if train is not None:
            trains[population.name] = train
        self._count(population, train, result.clamps, result.wraps)

    def _count(self, population: Population, train: Train | None, clamps: int, wraps: int) -> None:
        """Check that a train consists of integers of 24 bits, and count."""
        count = self.counters.populations[population.name]
        count.clamps += clamps
        count.wraps += wraps
        if train is None:
            return
        self._check(population, train)
        if self.count:
            count.spikes += spikes_by_compartment(train, population, self.tokens).cpu().numpy()
        if self.on_train:
            self.on_train(population, train, self.tokens)

    def _check(self, population: Population, train: Train) -> None:
        """Integers always; their width where the run is counted, since that reads every value."""
        if isinstance(train, Volley):
            values = max(train.payloads, key=lambda payload: int(payload.abs().max()))
        else:
            values = train.value if isinstance(train, Graded) else train.magnitude
        wide = self.count and int(values.abs().max()) > WORD_LIMIT
        if values.dtype.is_floating_point or wide:
            raise BackendError(
                f"{population.name} sent {values.dtype} up to {values.abs().max()},"
                " not integers of 24 bits",
                BUG,
            )


def _by_slot(net: Netlist) -> list[tuple[Population, int]]:
    """Populations with a value for each slot and token (scores, weights, codes), and the slots."""
    return [
        (p, list(p.axes.values())[p.slot_axis])
        for p in net.populations.values()
        if p.slot_axis is not None
    ]


def _add(totals: Any) -> Tensor:
    whole: Tensor | None = None
    for total in totals:
        whole = total if whole is None else whole + total
    assert whole is not None
    return whole


def _on_device(population: Population, device: torch.device) -> dict[str, Any]:
    """Parameters as tensors; those with one value per compartment get the population's axes."""
    tensors: dict[str, Any] = {}
    for key, value in population.params.items():
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(value.astype(np.int64)).to(device)
            if key not in population.does.tables and value.numel() == population.n > 1:
                value = value.reshape(list(population.axes.values()))
        tensors[key] = value
    return tensors


def _order(
    net: Netlist,
    into: dict[str, list[Channel]],
    written: dict[int, Written],
    phase: tuple[int, int],
) -> list[Task]:
    """The populations active in a phase and the groups written in it.

    Each comes after all that it needs of this phase.
    """
    first, stop = phase
    active = {p.name for p in net.populations.values() if any(first <= t < stop for t in p.steps)}
    sending = {p.name for p in net.populations.values() if any(first <= t < stop for t in p.sends)}
    before: dict[Task, list[Task]] = {
        number: [form.pointer, form.value]
        for number, form in written.items()
        if form.pointer in sending
    }
    for name in net.populations:
        if name in active:
            channels = [c for c in into[name] if not c.group.feedback]
            sources = [c.group.source for c in channels if c.group.source in sending]
            before[name] = [*sources, *(c.number for c in channels if c.number in before)]
    try:
        return list(TopologicalSorter(before).static_order())
    except CycleError as error:
        raise BackendError(
            f"populations {error.args[1][:4]} wait for each other", "report this bug"
        ) from error


def _last_use(
    tasks: list[Task], into: dict[str, list[Channel]], written: dict[int, Written]
) -> dict[Task, list[str]]:
    """Task -> trains nobody needs once it is done."""
    last: dict[str, Task] = {}
    for task in tasks:
        if isinstance(task, int):
            last |= dict.fromkeys((written[task].pointer, written[task].value), task)
        else:
            last |= {c.group.source: task for c in into[task] if not c.group.feedback}
    last_used: dict[Task, list[str]] = {}
    for source, task in last.items():
        last_used.setdefault(task, []).append(source)
    return last_used

"""depth: how far a run is from another, node by node along the model's depth.

In: a netlist and the float graph it came from, two netlists, or two float graphs, and batches of
tokens.  Out: a `NodeError` a node.  Everything streams: beside a float model a value lives until
its last reader, between two netlists one piece of a batch does; what stays are sums.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from compiler.netlist.model import Netlist
from hwsim.accounts.depth_error import NodeError
from hwsim.backends import DEFAULT, load
from hwsim.backends.backend import RUN_SECONDS, splits
from hwsim.backends.counters import Counters
from hwsim.backends.values import READ
from hwsim.measure.readings import Reading, open_readings, operator
from las_neuro.errors import ConfigError
from las_neuro.graph import SLOTS, Graph, Node
from las_neuro.progress import Progress, silent
from las_neuro.reference.interpret import RULES, Run, interpret
from las_neuro.rows import Rows

Tensor = torch.Tensor
PIECE = 64  # tokens fed at once where both runs must be held side by side
PASSED_ON = ("view", "output")  # operators without a population of their own


def against_model(
    net: Netlist,
    graph: Graph,
    batches: Sequence[Rows],
    backend: str = DEFAULT,
    *,
    progress: Progress = silent,
    timeout: float = RUN_SECONDS,
) -> list[NodeError]:
    """A netlist's run beside the float interpretation of its spiking graph, node by node.

    A node without a population that sends its value, because the netlist holds it in parts or its
    reader's population computes it too, is left out: its error counts where it is read.
    """
    sent = {p.node for p in net.populations.values() if p.role in READ}
    beside = Beside(graph, sent)
    run = open_readings(net, backend, beside.take, timeout)
    for done, rows in enumerate(batches):
        progress("compare", done, len(batches))
        for some in splits(rows, load(backend).limits):
            beside.begin(some)
            run.reset()
            run.feed(some)
    count_faults(net, run.counters, beside.rows)
    return [row for row in beside.rows.values() if row.values or row.clamps or row.wraps]


@dataclass
class Beside:
    """The float graph computed beside a run: each node when the run comes to it.

    Values are held twice, [2 B, S, *axes]: the float model's own, then the run's, so that one
    application of a node's rule gives the reference and what the run's inputs should have given.
    """

    graph: Graph
    sent: set[str]  # nodes whose values the run gives; the others are computed from their inputs
    rows: dict[str, NodeError] = field(init=False)
    readers: Counter[str] = field(init=False)
    tokens: Rows = field(init=False)
    run: Run = field(init=False)
    waiting: Counter[str] = field(default_factory=Counter)
    values: dict[str, Tensor] = field(default_factory=dict)
    written: dict[str, Tensor] = field(default_factory=dict)  # memories, all tokens so far

    def __post_init__(self) -> None:
        self.rows = {
            node.name: NodeError(node.name, node.layer, node.op, _single(list(node.axes)))
            for node in self.graph
            if node.op not in PASSED_ON
        }
        readers = (node for node in self.graph if node.name in self.sent)
        self.readers = Counter(name for node in readers for name in self._origins(node))

    def begin(self, tokens: Rows) -> None:
        """New sequences [B, S]."""
        self.tokens, self.written = tokens, {}
        self._piece(0, 0)

    def _piece(self, start: int, count: int) -> None:
        self.run = Run(self.graph, self.tokens[:, start : start + count], start=start)
        self.waiting, self.values = Counter(self.readers), {}

    @torch.inference_mode()
    def take(self, reading: Reading) -> None:
        """Compare one node; engines may cut sequences into pieces."""
        if (self.run.start, self.run.tokens.shape[1]) != (reading.start, reading.value.shape[1]):
            self._piece(reading.start, reading.value.shape[1])
        node = self.graph.nodes.get(reading.node)
        if node is None:
            raise ConfigError(
                f"the netlist's node {reading.node} is not in the model's graph",
                "name the model that the netlist was compiled from",
            )
        if reading.repeated:
            return self._again(node, reading)
        both = self._apply(node)
        exact, expected = both.chunk(2)
        mine = _shaped(reading.value, exact, node.name)
        fresh = mine - expected
        if node.op == "maximum":  # its distance above the maximum is no error
            fresh = fresh * 0
        if reading.scale is not None:
            fresh = fresh * _shaped(reading.scale.expand_as(reading.value), exact, node.name)
        seen = _seen(exact, node.axes, self.graph.causal)
        self.rows[node.name].add(_shaped(reading.comparable, exact, node.name), exact, fresh, seen)
        self._keep(node, torch.cat([exact, mine]))

    def _again(self, node: Node, reading: Reading) -> None:
        """A copy in a later phase: the run goes on with it, the reference stays."""
        if node.name not in self.values:
            return
        exact = self.values[node.name].chunk(2)[0]
        mine = _shaped(reading.comparable, exact, node.name)
        self.rows[node.name].add(mine, exact, None, torch.isfinite(exact))
        self.values[node.name] = torch.cat([exact, mine])

    def _apply(self, node: Node) -> Tensor:
        value: Tensor = RULES[node.op](self.run, node, [self._value(name) for name in node.inputs])
        return value if node.inputs else torch.cat([value, value])

    def _value(self, name: str) -> Tensor:
        """As the run gave it; computed from the node's own inputs where the run gives none."""
        node = self.graph[name]
        if node.op == "memory":
            return self.written[name]
        return self.values[name] if name in self.values else self._apply(node)

    def _keep(self, node: Node, both: Tensor) -> None:
        if node.op == "memory":
            before = [self.written[node.name]] if node.name in self.written else []
            self.written[node.name] = torch.cat([*before, both], dim=1)
        elif self.waiting[node.name]:
            self.values[node.name] = both
        for name in self._origins(node):
            self.waiting[name] -= 1
            if not self.waiting[name]:
                self.values.pop(name, None)

    def _origins(self, node: Node) -> Iterator[str]:
        """The nodes from whose values in the run a node is computed."""
        for name in node.inputs:
            if name in self.sent:
                yield name
            else:
                yield from self._origins(self.graph[name])


def between_netlists(
    nets: tuple[Netlist, Netlist],
    batches: Sequence[Rows],
    backends: tuple[str, str] = (DEFAULT, DEFAULT),
    *,
    progress: Progress = silent,
    timeout: float = RUN_SECONDS,
) -> tuple[list[NodeError], Rows | None]:
    """Two runs by node name, the first as the reference; nodes that only one has are left out.

    Also the first sequence [1, S] in which any node differs, a decoder's up to that token.
    """
    rows = netlist_rows(nets[0])
    mine, theirs = Gathered(), Gathered()
    runs = [
        open_readings(net, backend, gathered.take, timeout)
        for net, backend, gathered in zip(nets, backends, (theirs, mine), strict=True)
    ]
    limits = [load(backend).limits for backend in backends]
    whole = not nets[0].causal or not all(limit.pieces for limit in limits)
    parting: Rows | None = None
    for done, batch in enumerate(batches):
        progress("compare", done, len(batches))
        for some in splits(batch, *limits):
            size = some.shape[1] if whole else PIECE
            for run in runs:
                run.reset()
            for start in range(0, some.shape[1], size):
                for run in runs:
                    run.feed(some[:, start : start + size])
                place = _compare(rows, mine.values(), theirs.values(), nets[0].causal)
                if place is not None and parting is None:
                    which, token = place
                    end = start + token + 1 if nets[0].causal else some.shape[1]
                    parting = some[which : which + 1, :end]
    count_faults(nets[1], runs[1].counters, rows)
    met = [row for row in rows.values() if row.values]
    if not met:
        raise ConfigError(
            "the two netlists have no node in common", "compare two netlists of the same model"
        )
    return met, parting


Values = dict[tuple[str, bool], tuple[Mapping[str, int], Tensor]]  # node, copy -> axes, values


@dataclass
class Gathered:
    """All readings of one piece of a run."""

    readings: dict[tuple[str, bool], list[Reading]] = field(default_factory=dict)

    def take(self, reading: Reading) -> None:
        self.readings.setdefault((reading.node, reading.repeated), []).append(reading)

    def values(self) -> Values:
        """What was gathered, handed over."""
        joined: Values = {key: (some[0].axes, _joined(some)) for key, some in self.readings.items()}
        self.readings = {}
        return joined


def _compare(
    rows: dict[str, NodeError], mine: Values, theirs: Values, causal: bool
) -> tuple[int, int] | None:
    """Add up one piece; the sequence and the token at which a value first differs."""
    differs: Tensor | None = None  # [B, S]
    for key, (axes, reference) in theirs.items():
        if key not in mine:
            continue
        value = mine[key][1]
        if value.shape != reference.shape:
            raise ConfigError(
                f"{key[0]} is {list(reference.shape)} in one netlist and {list(value.shape)} "
                "in the other",
                "compare two netlists of the same model",
            )
        seen = _seen(reference, axes, causal)
        rows[key[0]].add(value, reference, None, seen)
        wrong = ((value != reference) & seen).reshape(*value.shape[:2], -1).any(dim=2)
        differs = wrong if differs is None else differs | wrong
    if differs is None or not bool(differs.any()):
        return None
    token, which = differs.T.nonzero()[0].tolist()  # the earliest token of any sequence
    return which, token


def between_models(
    graphs: tuple[Graph, Graph], batches: Sequence[Rows], *, progress: Progress = silent
) -> list[NodeError]:
    """Two float models that are drawn alike, the first as the reference."""
    first, second = graphs
    if list(first.nodes) != list(second.nodes):
        raise ConfigError(
            f"the models are drawn differently: {len(first.nodes)} nodes and {len(second.nodes)}",
            "compare two models of one architecture and size",
        )
    rows = {
        node.name: NodeError(node.name, node.layer, node.op, _single(list(node.axes)))
        for node in first
        if node.op not in PASSED_ON
    }
    for done, batch in enumerate(batches):
        progress("compare", done, len(batches))
        for (node, reference), (_, value) in zip(
            interpret(first, batch), interpret(second, batch), strict=True
        ):
            if node.name in rows:
                seen = _seen(reference, node.axes, first.causal)
                rows[node.name].add(value, reference, None, seen)
    return list(rows.values())


def netlist_rows(net: Netlist) -> dict[str, NodeError]:
    """A row for each node that a netlist holds, in depth order."""
    rows: dict[str, NodeError] = {}
    for population in net.populations.values():
        name = population.node
        if population.role in READ and name not in rows:
            single = _single(list(population.axes))
            rows[name] = NodeError(name, population.layer, operator(net, population), single)
    return rows


def count_faults(net: Netlist, counters: Counters, rows: dict[str, NodeError]) -> None:
    """Clamps and wraps of all populations that came from a node."""
    for name, count in counters.populations.items():
        row = rows.get(net.populations[name].node)
        if row is not None:
            row.clamps += count.clamps
            row.wraps += count.wraps


def _single(axes: Sequence[str]) -> bool:
    return set(axes) <= {"h", "k", "g"}


def _shaped(x: Tensor, like: Tensor, node: str) -> Tensor:
    """A population's value [B, S, *its axes] under the axes of its node, which keep the order."""
    if x.numel() != like.numel():
        raise ConfigError(
            f"{node} has {x[0, 0].numel()} values in the netlist, {like[0, 0].numel()} in the "
            "model",
            "name the model that the netlist was compiled from",
        )
    return x.reshape(like.shape)


def _seen(reference: Tensor, axes: Mapping[str, int], causal: bool) -> Tensor:
    """Which values count: a decoder's token sees the last tokens up to itself, as many as slots."""
    seen = torch.isfinite(reference)
    names = list(axes)
    if not causal or SLOTS not in names or "d" in names:
        return seen
    length, place = reference.shape[1], 2 + names.index(SLOTS)
    tokens = reference.shape[place]
    shape = [1] * reference.ndim
    shape[1], shape[place] = length, tokens
    now = tokens - length
    near = torch.ones(length, tokens, dtype=torch.bool).tril(now).triu(now - axes[SLOTS] + 1)
    return seen & near.reshape(shape)


def _joined(some: Sequence[Reading]) -> Tensor:
    """Pieces of one feed as one value; of a later token nothing is known yet."""
    values = [reading.comparable for reading in some]
    if len(values) == 1:
        return values[0]
    axes = list(some[-1].axes)
    if SLOTS in axes:
        place = 2 + axes.index(SLOTS)
        slots = values[-1].shape[place]
        values = [_padded(value, place, slots) for value in values]
    return torch.cat(values, dim=1)


def _padded(value: Tensor, place: int, slots: int) -> Tensor:
    shape = list(value.shape)
    shape[place] = slots - shape[place]
    return torch.cat([value, value.new_zeros(shape)], dim=place)

"""depth: the difference of two runs, node by node along the model's depth.

Input: a netlist and the float graph it came from, two netlists, or two float graphs, and batches of
tokens.  Output: one `NodeError` per node.  Values are not kept: compared with a float model, a
value is freed after its last reader; between two netlists, after one piece of a batch.  Only sums
remain.
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
PIECE = 64  # tokens run at once where the values of both runs must be in memory
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
    """Compare a netlist's run with the float interpretation of its spiking graph, node by node.

    A node without a population that sends its value (the netlist has it in parts, or its reader's
    population computes it too) is left out: its error counts where it is read.
    Raises ConfigError where the model is not the netlist's.
    """
    nodes = {p.node for p in net.populations.values() if p.role in READ}
    model = FloatRun(graph, nodes)
    run = open_readings(net, backend, model.take, timeout)
    for done, rows in enumerate(batches):
        progress("compare", done, len(batches))
        for part in splits(rows, load(backend).limits):
            model.begin(part)
            run.reset()
            run.feed(part)
    count_faults(net, run.counters, model.rows)
    return [row for row in model.rows.values() if row.values or row.clamps or row.wraps]


@dataclass
class FloatRun:
    """The float graph, computed alongside a netlist's run: each node when the run gives its value.

    Values come in pairs, [2 B, S, *axes]: first those of the float model, then those of the run.
    One application of a node's rule then gives both the reference and the exact result for the
    run's own inputs.
    """

    graph: Graph
    sources: set[str]  # nodes whose values the run gives; others are computed from their inputs
    rows: dict[str, NodeError] = field(init=False)
    readers: Counter[str] = field(init=False)
    tokens: Rows = field(init=False)
    run: Run = field(init=False)
    waiting: Counter[str] = field(default_factory=Counter)  # readers still to come, by node
    values: dict[str, Tensor] = field(default_factory=dict)
    memories: dict[str, Tensor] = field(default_factory=dict)  # their content, all tokens so far

    def __post_init__(self) -> None:
        self.rows = {
            node.name: NodeError(node.name, node.layer, node.op, _single(list(node.axes)))
            for node in self.graph
            if node.op not in PASSED_ON
        }
        readers = (node for node in self.graph if node.name in self.sources)
        self.readers = Counter(name for node in readers for name in self._origins(node))

    def begin(self, tokens: Rows) -> None:
        """Start new sequences [B, S]."""
        self.tokens, self.memories = tokens, {}
        self._piece(0, 0)

    def _piece(self, start: int, count: int) -> None:
        self.run = Run(self.graph, self.tokens[:, start : start + count], start=start)
        self.waiting, self.values = Counter(self.readers), {}

    @torch.inference_mode()
    def take(self, reading: Reading) -> None:
        """Compare one node's value; engines may cut sequences into pieces.

        Raises ConfigError where the model's graph does not have the node.
        """
        if (self.run.start, self.run.tokens.shape[1]) != (reading.start, reading.value.shape[1]):
            self._piece(reading.start, reading.value.shape[1])
        node = self.graph.nodes.get(reading.node)
        if node is None:
            raise ConfigError(
                f"the netlist's node {reading.node} is not in the model's graph",
                "name the model that the netlist was compiled from",
            )
        if reading.repeated:
            return self._repeat(node, reading)
        both = self._apply(node)
        exact, expected = both.chunk(2)
        value = _shaped(reading.value, exact, node.name)
        fresh = value - expected
        if node.op == "maximum":  # any reference near the maximum is correct
            fresh = fresh * 0
        if reading.scale is not None:
            fresh = fresh * _shaped(reading.scale.expand_as(reading.value), exact, node.name)
        mask = _mask(exact, node.axes, self.graph.causal)
        self.rows[node.name].add(_shaped(reading.comparable, exact, node.name), exact, fresh, mask)
        self._keep(node, torch.cat([exact, value]))

    def _repeat(self, node: Node, reading: Reading) -> None:
        """Take a copy of a value in a later phase, which replaces the run's value."""
        if node.name not in self.values:
            return
        exact = self.values[node.name].chunk(2)[0]
        value = _shaped(reading.comparable, exact, node.name)
        self.rows[node.name].add(value, exact, None, torch.isfinite(exact))
        self.values[node.name] = torch.cat([exact, value])

    def _apply(self, node: Node) -> Tensor:
        value: Tensor = RULES[node.op](self.run, node, [self._value(name) for name in node.inputs])
        return value if node.inputs else torch.cat([value, value])

    def _value(self, name: str) -> Tensor:
        """A node's values, computed from its inputs where the run does not give them."""
        node = self.graph[name]
        if node.op == "memory":
            return self.memories[name]
        return self.values[name] if name in self.values else self._apply(node)

    def _keep(self, node: Node, both: Tensor) -> None:
        if node.op == "memory":
            before = [self.memories[node.name]] if node.name in self.memories else []
            self.memories[node.name] = torch.cat([*before, both], dim=1)
        elif self.waiting[node.name]:
            self.values[node.name] = both
        for name in self._origins(node):
            self.waiting[name] -= 1
            if not self.waiting[name]:
                self.values.pop(name, None)

    def _origins(self, node: Node) -> Iterator[str]:
        """Nodes whose values the run gives and from which a node is computed."""
        for name in node.inputs:
            if name in self.sources:
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
    """Compare two runs node by node, the first as the reference; only nodes that both have.

    Also returns the first sequence [1, S] in which any node differs, of a decoder up to that token;
    None where all values are equal.  Raises ConfigError where no node is common to both.
    """
    rows = netlist_rows(nets[0])
    mine, theirs = Readings(), Readings()
    runs = [
        open_readings(net, backend, readings.take, timeout)
        for net, backend, readings in zip(nets, backends, (theirs, mine), strict=True)
    ]
    limits = [load(backend).limits for backend in backends]
    whole = not nets[0].causal or not all(limit.pieces for limit in limits)
    sequence: Rows | None = None
    for done, batch in enumerate(batches):
        progress("compare", done, len(batches))
        for part in splits(batch, *limits):
            size = part.shape[1] if whole else PIECE
            for run in runs:
                run.reset()
            for start in range(0, part.shape[1], size):
                for run in runs:
                    run.feed(part[:, start : start + size])
                place = _compare(rows, mine.values(), theirs.values(), nets[0].causal)
                if place is not None and sequence is None:
                    row, token = place
                    end = start + token + 1 if nets[0].causal else part.shape[1]
                    sequence = part[row : row + 1, :end]
    count_faults(nets[1], runs[1].counters, rows)
    common = [row for row in rows.values() if row.values]
    if not common:
        raise ConfigError(
            "the two netlists have no node in common", "compare two netlists of the same model"
        )
    return common, sequence


# (node, whether a copy in a later phase) -> axes, values
Values = dict[tuple[str, bool], tuple[Mapping[str, int], Tensor]]


@dataclass
class Readings:
    """All readings of one piece of a run."""

    readings: dict[tuple[str, bool], list[Reading]] = field(default_factory=dict)

    def take(self, reading: Reading) -> None:
        self.readings.setdefault((reading.node, reading.repeated), []).append(reading)

    def values(self) -> Values:
        """The values read since the last call."""
        values: Values = {
            key: (pieces[0].axes, _joined(pieces)) for key, pieces in self.readings.items()
        }
        self.readings = {}
        return values


def _compare(
    rows: dict[str, NodeError], mine: Values, theirs: Values, causal: bool
) -> tuple[int, int] | None:
    """Add one piece to the rows; returns the sequence and the token where values first differ."""
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
        mask = _mask(reference, axes, causal)
        rows[key[0]].add(value, reference, None, mask)
        wrong = ((value != reference) & mask).reshape(*value.shape[:2], -1).any(dim=2)
        differs = wrong if differs is None else differs | wrong
    if differs is None or not bool(differs.any()):
        return None
    token, sequence = differs.T.nonzero()[0].tolist()  # the earliest token of any sequence
    return sequence, token


def between_models(
    graphs: tuple[Graph, Graph], batches: Sequence[Rows], *, progress: Progress = silent
) -> list[NodeError]:
    """Compare two float models of the same graph, the first as the reference.

    Raises ConfigError where their nodes differ.
    """
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
                mask = _mask(reference, node.axes, first.causal)
                rows[node.name].add(value, reference, None, mask)
    return list(rows.values())


def netlist_rows(net: Netlist) -> dict[str, NodeError]:
    """A row for each node whose value a netlist sends, in depth order."""
    rows: dict[str, NodeError] = {}
    for population in net.populations.values():
        name = population.node
        if population.role in READ and name not in rows:
            single = _single(list(population.axes))
            rows[name] = NodeError(name, population.layer, operator(net, population), single)
    return rows


def count_faults(net: Netlist, counters: Counters, rows: dict[str, NodeError]) -> None:
    """Add clamps and wraps of all populations to the rows of their nodes."""
    for name, count in counters.populations.items():
        row = rows.get(net.populations[name].node)
        if row is not None:
            row.clamps += count.clamps
            row.wraps += count.wraps


def _single(axes: Sequence[str]) -> bool:
    return set(axes) <= {"h", "k", "g"}


def _shaped(x: Tensor, like: Tensor, node: str) -> Tensor:
    """A population's value [B, S, *its axes] in the shape of its node, whose axes have this order.

    Raises ConfigError where the numbers of values differ.
    """
    if x.numel() != like.numel():
        raise ConfigError(
            f"{node} has {x[0, 0].numel()} values in the netlist, {like[0, 0].numel()} in the "
            "model",
            "name the model that the netlist was compiled from",
        )
    return x.reshape(like.shape)


def _mask(reference: Tensor, axes: Mapping[str, int], causal: bool) -> Tensor:
    """Values to compare: finite ones, and of a decoder's slots those that a token attends to.

    A token attends to itself and the tokens before it, at most as many as there are slots.
    """
    finite = torch.isfinite(reference)
    names = list(axes)
    if not causal or SLOTS not in names or "d" in names:
        return finite
    length, place = reference.shape[1], 2 + names.index(SLOTS)
    tokens = reference.shape[place]
    shape = [1] * reference.ndim
    shape[1], shape[place] = length, tokens
    now = tokens - length
    near = torch.ones(length, tokens, dtype=torch.bool).tril(now).triu(now - axes[SLOTS] + 1)
    return finite & near.reshape(shape)


def _joined(readings: Sequence[Reading]) -> Tensor:
    """Readings of several pieces as one value; slots of later tokens are 0."""
    values = [reading.comparable for reading in readings]
    if len(values) == 1:
        return values[0]
    axes = list(readings[-1].axes)
    if SLOTS in axes:
        place = 2 + axes.index(SLOTS)
        slots = values[-1].shape[place]
        values = [_padded(value, place, slots) for value in values]
    return torch.cat(values, dim=1)


def _padded(value: Tensor, place: int, slots: int) -> Tensor:
    shape = list(value.shape)
    shape[place] = slots - shape[place]
    return torch.cat([value, value.new_zeros(shape)], dim=place)

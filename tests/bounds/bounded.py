"""bounded: every operator of a run held against its bound (bounds.rules), in double precision.

In: a netlist, the calibrated graph it was compiled from, and tokens.  Out: a `Share` a node, how
much of the bound its errors used, and each node's errors, so that `response` can put them into the
float model and show that nothing else made the output differ.  Nodes are those of the graph in
phases: a value that waits for a later phase is a node of its own there, and rounded once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from bounds.bound import Bound
from bounds.rules import Bounds
from compiler.netlist.model import Netlist
from compiler.passes.split_phases import split_phases
from compiler.task import Task
from hwsim.backends import DEFAULT
from hwsim.measure.readings import Reading, open_readings
from las_neuro.graph import Graph, Node
from las_neuro.reference.interpret import RULES, Run
from las_neuro.rows import Rows

Tensor = torch.Tensor
DOUBLE = torch.float64
SLACK = 1e-6  # of a payload's unit, for this check's own arithmetic
PASSED_ON = ("view", "output")


@dataclass
class Share:
    """One node: how much of its bounds it used, 1 being all."""

    node: str
    op: str
    kind: str  # a function's name, the axis of a sum, or how a value is coded
    values: int = 0
    error: float = 0.0  # largest |error|
    bound: float = 0.0  # largest; 0 where nothing is rounded
    used: float = 0.0  # largest |error| / bound
    rounding: float = 0.0  # largest |error - foreseen| / rounding
    lean: float = 0.0  # mean (error - foreseen) / rounding: what never averages out
    outside: int = 0  # values beyond their bound

    def add(self, error: Tensor, bound: Bound, slack: float, seen: Tensor) -> None:
        """All [B, S, *axes]; `seen`: which values count."""
        most, rounding, foreseen = (
            torch.from_numpy(np.ascontiguousarray(x)).expand_as(error)[seen]
            for x in (bound.most, bound.rounding, bound.foreseen)
        )
        error = error[seen]
        rest = error - foreseen
        self.outside += int((error.abs() > most + slack).sum())
        self.outside += int((rest.abs() > rounding + slack).sum())
        self.error = max(self.error, float(error.abs().max()))
        self.bound = max(self.bound, float(most.max()))
        self.used = max(self.used, float((error.abs() / (most + slack)).max()))
        self.rounding = max(self.rounding, float((rest.abs() / (rounding + slack)).max()))
        total = self.lean * self.values + float((rest / (rounding + slack)).sum())
        self.values += error.numel()
        self.lean = total / max(self.values, 1)


@dataclass
class Bounded:
    """One run, each node beside its exact function of the run's own inputs."""

    net: Netlist
    graph: Graph  # in phases
    tokens: Rows
    shares: dict[str, Share] = field(default_factory=dict)
    errors: dict[str, Tensor] = field(default_factory=dict)  # of the whole sequence
    values: dict[str, Tensor] = field(default_factory=dict)
    run: Run = field(init=False)
    bounds: Bounds = field(init=False)
    copies: dict[str, Iterator[Node]] = field(init=False)  # of a node, phase by phase

    def __post_init__(self) -> None:
        copies: dict[str, list[Node]] = {}
        for node in sorted(self.graph, key=lambda node: int(node["phase"])):
            if node.original and node.op not in PASSED_ON:
                copies.setdefault(node.original, []).append(node)
        self.copies = {name: iter(nodes) for name, nodes in copies.items()}
        self.run = Run(self.graph, self.tokens, DOUBLE)
        self.bounds = Bounds(self.net, self.graph)

    def take(self, reading: Reading) -> None:
        """One node's value from the netlist."""
        if reading.start or reading.value.shape[1] != self.tokens.shape[1]:
            raise ValueError("a run is held against its bounds in one piece: feed fewer tokens")
        name = reading.node
        node = next(self.copies[name]) if reading.repeated else self.graph[name]
        operands = [self.value(name) for name in node.inputs]
        exact = RULES[node.op](self.run, node, operands)
        seen = torch.isfinite(exact)
        mine = reading.value.reshape(exact.shape)
        self.values[node.name] = mine = torch.where(seen, mine, exact)
        error = torch.where(seen, mine - exact, 0.0)
        read = [self.value(name).numpy() for name in self.bounds.reads(node)]
        bound = self.bounds.of(node, read, exact.numpy())
        self.errors[node.name] = error
        share = self.shares.setdefault(node.name, Share(node.name, node.op, _kind(node)))
        share.add(error, bound, SLACK * self.net.populations[node.name].unit, seen)

    def value(self, name: str) -> Tensor:
        """Of a node that the netlist holds, passes on or holds in parts."""
        if name not in self.values:
            node = self.graph[name]
            operands = [self.value(source) for source in node.inputs]
            self.values[name] = RULES[node.op](self.run, node, operands)
        return self.values[name]

    def output(self) -> Tensor:
        """The run's last value [B, S, c]."""
        return self.value("output")


@torch.inference_mode()
def hold(net: Netlist, graph: Graph, tokens: Rows) -> Bounded:
    """Run tokens [B, S] through the fast engine, every operator beside its bound."""
    beside = Bounded(net, split_phases(graph, Task()), tokens)
    run = open_readings(net, DEFAULT, beside.take, dtype=DOUBLE)
    run.feed(tokens)
    wrapped = {name: c.wraps for name, c in run.counters.populations.items() if c.wraps}
    if wrapped:
        raise ValueError(f"no bound holds where sums wrap: {wrapped}")
    return beside


@torch.inference_mode()
def response(
    graph: Graph, tokens: Rows, errors: Mapping[str, Tensor], share: float = 1.0
) -> Tensor:
    """The float model's output [B, S, c] with a share of each node's error added to it."""
    run = Run(graph, tokens, DOUBLE)
    values: dict[str, Tensor] = {}
    for node in graph:
        value = RULES[node.op](run, node, [values[name] for name in node.inputs])
        if node.name in errors:
            value = value + share * errors[node.name]
        values[node.name] = value
    return values["output"]


def _kind(node: Node) -> str:
    for key in ("fn", "axis", "source"):
        if key in node.attributes:
            return str(node[key])
    return ""

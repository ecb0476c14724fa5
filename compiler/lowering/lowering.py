"""lowering: the network that the lowering rules build, and the operations they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compiler.lowering.network import LoweredNetwork, LoweredPopulation, Scaling
from compiler.lowering.units import fix_units
from compiler.netlist.model import Form, Gather, Pattern, Population, Synapses, Written
from las_neuro.graph import Axes, Graph, Node
from las_neuro.integers import WORD_LIMIT

RESCALE: Mapping[str, Any] = {"low": -WORD_LIMIT, "high": WORD_LIMIT, "gated": 0}


class Lowering:
    """The network being built, and the population of each node that is lowered already.

    units: node -> unit; readers: node -> nodes that read it; population_of: node -> population
    that sends its value; parts: node -> populations that together hold its value; groups: queries
    per key-value head; heads: query heads.
    """

    def __init__(self, graph: Graph, *, weights: bool) -> None:
        self.graph = graph
        self.weights = weights
        self.units = fix_units(graph)
        self.readers = graph.readers()
        self.population_of: dict[str, str] = {}
        self.written: dict[str, Written] = {}  # memory node -> the synapses that it writes
        self.gains: dict[str, Any] = {}  # node without a population -> factors [n] of its readers
        self.turns: dict[str, Gather] = {}  # node without a population -> synapses of its readers
        self.parts: dict[
            str, list[LoweredPopulation]
        ] = {}  # node -> what holds its values together
        memories = [node for node in graph if node.op == "memory"]
        self.groups: int = memories[0]["groups"] if memories else 1
        self.heads: int = memories[0].axes["h"] if memories else 1
        self.net = LoweredNetwork(
            graph.family, graph.causal, graph.context, graph.vocabulary, "", ""
        )

    def source(self, node: Node, i: int = 0) -> LoweredPopulation:
        """Population that sends the i-th input of a node."""
        return self.net.populations[self.population_of[node.inputs[i]]]

    def add(
        self,
        node: Node,
        kind: str,
        axes: Axes,
        unit: float,
        suffix: str = "",
        role: str = "value",
        scaling: Scaling | None = None,
        **params: Any,
    ) -> LoweredPopulation:
        """Add a population with a role for `node`; without suffix it sends the node's value."""
        name = node.name + suffix
        target = LoweredPopulation(
            name,
            kind,
            axes,
            params,
            layer=node.layer,
            unit=unit,
            node=node.original or node.name,
            role=role,
            repeated=bool(node.original),
            repetition=node.repetition,
            scaling=scaling,
            phase=node["phase"],
        )
        self.net.populations[name] = target
        if not suffix:
            self.population_of[node.name] = name
        return target

    def join(
        self,
        source: Population,
        target: Population,
        port: str,
        weight: int = 1,
        **more: Any,
    ) -> None:
        """Add synapses along shared axes: sums over the source's others, copies along the target's.

        weight: of every synapse.
        """
        form = Pattern(tuple(source.axes), tuple(target.axes), weight)
        self.connect(source, target, port, form, **more)

    def join_input(self, node: Node, i: int, target: Population, port: str) -> None:
        """Synapses from what sends a node's i-th input, turned where that input is a turn."""
        source, turn = self.source(node, i), self.turns.get(node.inputs[i])
        if turn is None:
            self.join(source, target, port)
        else:
            self.connect(source, target, port, turn)

    def read_only_by(self, node: Node, *ops: str) -> bool:
        """Whether every reader of a node is one of these operators, and there is one."""
        readers = [self.graph[name].op for name in self.readers[node.name]]
        return bool(readers) and set(readers) <= set(ops)

    def connect(
        self,
        source: Population,
        target: Population,
        port: str,
        form: Form,
        **more: Any,
    ) -> None:
        self.net.synapses.append(Synapses(source.name, target.name, port, form, **more))

    def rescale(
        self, source: LoweredPopulation, node: Node, unit: float, suffix: str, role: str
    ) -> LoweredPopulation:
        """Add a population that sends the values of `source` in another unit."""
        scaling = Scaling(source.unit / unit)
        target = self.add(node, "integrate", source.axes, unit, suffix, role, scaling, **RESCALE)
        self.join(source, target, "a")
        return target

    def grouped(self, axes: Axes) -> Axes:
        """Axes with query heads {h} split into key-value heads and queries that share one {k, g}.

        An axis {h} of any other size counts key-value heads and becomes {k}.
        """
        out: Axes = {}
        for axis, size in axes.items():
            if axis == "h" and size != self.heads:
                out["k"] = size
            elif axis == "h":
                out |= {"k": size // self.groups, "g": self.groups}
            else:
                out[axis] = size
        return out

    def viewed(self, node: Node) -> Axes:
        """Axes under which a node is read: those of a view of it, or else its own."""
        for name in self.readers[node.name]:
            if self.graph[name].op == "view":
                return self.grouped(self.graph[name].axes)
        return self.grouped(node.axes)

"""SpikeLM: elastic bi-spiking neurons, trained (arXiv 2406.03287).

The checkpoint was trained with neurons at the inputs of its linear maps and on keys and values;
their amplitudes alpha lie among its weights (elastic_tables).  The network runs T passes over the
same embeddings, a pass being one time step of the paper:

    m[t] = m[t-1] / 4 * (alpha[t-1] - y[t-1]) + x[t]      at the input of a linear map
    y[t] = alpha[t] * clip(round(m[t] / alpha[t]), -1, 1)

so a spike down doubles what is left of a potential, and a spike up clears it: as in the paper's
code.  Keys and values are coded without memory of the pass before.  What the head reads, or the
hidden states, is the mean of all passes.

A chip has no network to run again, so the passes are laid side by side: T copies of every layer,
each with its own weights and memories, and a `leak` compartment from each neuron to the one of the
next pass.  The copies run at the same time, so T costs cores and not time.  What the paper leaves
in float (queries, softmax, norms, activations, the head) is spiking as in LAS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from las_neuro.checkpoint import Checkpoint
from las_neuro.errors import ConfigError, UnsupportedError
from las_neuro.graph import SPIKING, Graph, Node, Tensor, Value, verify
from las_neuro.neurons.elastic_tables import TRAIN, Alphas, ElasticTables
from las_neuro.neurons.firing import elastic
from las_neuro.systems import las
from las_neuro.systems.sites import rest, with_weight_bits

PASSES = 4  # of the paper; a plan knows no other
TERNARY = 2  # bits of a stored key or value
MAP = re.compile(r"(.+)\.weight(?:\[.*\])?")  # [..]: the part of a fused map


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class SpikeLm:
    """SpikeLM (arXiv 2406.03287): elastic bi-spiking neurons of a model trained with them.

    Ternary spikes into linear maps, keys and values; compile what examples/train_spikelm.py writes.
    """

    steps: Annotated[int, Field(ge=1, le=16)] | None = None  # passes, as it was trained
    weight_bits: Annotated[int, Field(ge=2, le=8)] = 8

    def spiking(self, model: Graph, checkpoint: Checkpoint | None = None) -> Graph:
        tables = None if checkpoint is None else ElasticTables.read(checkpoint)
        if tables is None:
            if checkpoint is not None and checkpoint.weights is not None:
                raise ConfigError(f"{checkpoint.folder}: holds no neurons of SpikeLM", TRAIN)
            tables = ElasticTables.of_plan(self.steps or PASSES)
        if self.steps not in (None, tables.passes):
            raise ConfigError(
                f"{self.steps} steps: the model was trained for {tables.passes}",
                f"leave --steps out, or train it again with --passes {self.steps}",
            )
        out = Unrolling(model, tables).graph()
        verify(out, SPIKING)
        return with_weight_bits(out, self.weight_bits)

    def threshold(self, graph: Graph) -> Graph:
        return rest(graph)


class Unrolling:
    """The passes being drawn into one graph; what no neuron has touched yet is drawn once."""

    def __init__(self, model: Graph, tables: ElasticTables) -> None:
        self.model, self.tables, self.out = model, tables, model.empty_like()
        self.kept = _keys_and_values(model)
        self.sites: dict[str, list[Alphas]] = {}  # value -> the neurons that read it
        self.left: dict[str, Value] = {}  # site -> what the pass before left

    def graph(self) -> Graph:
        common, (body, tail) = _common(self.model), _parted(self.model)
        read = tail[0].inputs[0]
        values: dict[str, Value] = {}
        passes = []
        for t in range(self.tables.passes):
            drawing = las.Drawing(self.model, self.out, values if t == 0 else dict(values))
            for node in body:
                if node.name in common and t:
                    continue
                name = node.name if node.name in common else f"pass{t}.{node.name}"
                repetition = 0 if node.name in common else t
                with self.out.scope("", layer=node.layer, repetition=repetition):
                    drawing.values[node.name] = self._draw(drawing, node, name, t)
            passes.append(drawing.values[read])
        end = las.Drawing(self.model, self.out, {read: self._mean(read, passes)})
        for node in tail:
            with self.out.scope("", layer=node.layer):
                end.values[node.name] = las.DRAW[node.op](end, node)
        return self.out

    def _draw(self, d: las.Drawing, node: Node, name: str, t: int) -> Value:
        if node.op == "linear":
            return self._linear(d, node, name, t)
        drawn = las.DRAW[node.op](d, replace(node, name=name))
        if node.op == "attend":
            for part in ("keys", "values"):
                self._store_ternary(f"{name}.{part}")
        return drawn

    def _linear(self, d: las.Drawing, node: Node, name: str, t: int) -> Value:
        """A map of neurons' spikes, and neurons on what it gives where that is kept."""
        module = _module(node)
        spikes = self._neurons(d, node, self.tables.at(f"{module}.act_clip_val"), t)
        made = self.out.draw(name, "linear", (spikes,), node.axes, None, node.weights)
        if node.name not in self.kept:
            return made
        part, heads, turned = self.kept[node.name]
        alpha = self.tables.at(f"{module.rpartition('.')[0]}.{part}")[t]
        coded = self._encode(f"{name}.spikes", d.heads(made, "h" if turned else "k", heads), alpha)
        if not turned:
            return coded
        gain = Tensor.of(f"{name}.ones", np.ones(node.size, np.float32))
        return d.affine(f"{name}.coded", d.view(coded, {"c": node.size}, "flat"), {"gain": gain})

    def _neurons(self, d: las.Drawing, node: Node, alphas: Alphas, t: int) -> Value:
        """Spikes of a linear map's input, shared by all maps whose neurons are alike."""
        (x,) = d.inputs(node)
        alike = self.sites.setdefault(node.inputs[0], [])
        if alphas not in alike:
            alike.append(alphas)
        site = f"{node.inputs[0]}.{alike.index(alphas)}" if alphas != alike[0] else node.inputs[0]
        name = f"pass{t}.{site}"
        if f"{name}.spikes" in self.out.nodes:
            return Value(self.out, f"{name}.spikes")
        potential = x if t == 0 else d.total(f"{name}.potential", x, self.left[site])
        spikes = self._encode(f"{name}.spikes", potential, alphas[t])
        if t + 1 < self.tables.passes:
            axes, code = self.out.axes_of(potential), {"code": elastic(alphas[t])}
            self.left[site] = self.out.draw(f"{name}.leak", "leak", (potential,), axes, code)
        return spikes

    def _encode(self, name: str, x: Value, alpha: float) -> Value:
        neurons = {
            "signed": True,
            "trained": self.tables.passes,
            "code": elastic(alpha),
            "spread": np.ones(1),
        }
        return self.out.draw(name, "encode", (x,), self.out.axes_of(x), neurons)

    def _store_ternary(self, name: str) -> None:
        """A memory of spikes holds -1, 0 and 1; turned keys are no spikes any more."""
        node = self.out[name]
        source = self.out[node.inputs[0]]
        if source.op == "encode":
            stored = node.with_attributes(bits=TERNARY, unit=source["code"].unit)
            self.out.nodes[name] = stored

    def _mean(self, name: str, passes: list[Value]) -> Value:
        """Of a value, over all passes."""
        axes, count = self.out.axes_of(passes[0]), len(passes)
        share = np.full(self.model[name].size, 1 / count, np.float32)
        weights = {"gain": Tensor.of(f"{name}.share", share)}
        with self.out.scope("", layer=self.model[name].layer):
            signs = {"signs": (1,) * count}
            total = self.out.draw(f"{name}.total", "sum", tuple(passes), axes, signs)
            return self.out.draw(f"{name}.mean", "affine", (total,), axes, None, weights)


def _parted(model: Graph) -> tuple[list[Node], list[Node]]:
    """What is run in passes, and what reads their mean: the head, if there is one, and the end."""
    nodes = list(model)
    last = nodes[-1]
    before = model[last.inputs[0]]
    tail = [before, last] if before.op == "linear" else [last]
    return [node for node in nodes if node not in tail], tail


def _module(node: Node) -> str:
    """The checkpoint's name of a linear map."""
    match = MAP.fullmatch(node.weights["weight"].name)
    assert match is not None
    return match[1]


def _common(model: Graph) -> set[str]:
    """Nodes that are the same in every pass: no linear map comes before them."""
    found: set[str] = set()
    for node in model:
        if node.op != "linear" and set(node.inputs) <= found:
            found.add(node.name)
    return found


def _keys_and_values(model: Graph) -> Mapping[str, tuple[str, int, bool]]:
    """Linear map -> what its neurons are called, heads, whether positions turn what it gives."""
    found = {}
    for attend in model:
        if attend.op != "attend":
            continue
        for part, name in (("clip_key", attend.inputs[1]), ("clip_value", attend.inputs[2])):
            node = model[name]
            turned = node.op == "rotate"
            node = model[node.inputs[0]] if turned else node
            if node.op != "linear":
                raise UnsupportedError(
                    f"{attend.name}: {node.op} stands between a linear map and its {part}",
                    "SpikeLM codes what the map gives: use a model of another family",
                )
            found[node.name] = part, attend["kv_heads"], turned
    return found


SYSTEM = SpikeLm

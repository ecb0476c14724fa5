"""SpikeLM: elastic bi-spiking neurons, trained (arXiv 2406.03287).

The checkpoint was trained with neurons at the inputs of its linear maps and on keys and values;
their amplitudes alpha lie among its weights (elastic_tables).  The network is repeated T times on
the same embeddings; a repetition is one time step of the paper:

    m[t] = m[t-1] / 4 * (alpha[t-1] - y[t-1]) + x[t]      at the input of a linear map
    y[t] = alpha[t] * clip(round(m[t] / alpha[t]), -1, 1)

so a spike down doubles what is left of a potential, and a spike up clears it: as in the paper's
code.  Keys and values are coded without memory of the previous repetition.  What the head reads, or
the hidden states, is the mean of all repetitions.

On a chip the repetitions are laid side by side, because it cannot run a network again: T copies of
every layer, each with its own weights and memories, and a `leak` compartment from each neuron to
the same neuron of the next repetition.  The copies run at the same time, so T costs cores and not
time.  What the paper leaves in float (queries, softmax, norms, activations, the head) is spiking as
in LAS.
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

REPETITIONS = 4  # the paper's, for a plan, which has no tables
TERNARY = 2  # bits of a stored key or value
MAP = re.compile(r"(.+)\.weight(?:\[.*\])?")  # [..]: the part of a fused map


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class SpikeLm:
    """SpikeLM (arXiv 2406.03287): elastic bi-spiking neurons of a model trained with them.

    Ternary spikes into linear maps, keys and values; compile what examples/train_spikelm.py writes.
    """

    steps: Annotated[int, Field(ge=1, le=16)] | None = None  # repetitions; None: as trained
    weight_bits: Annotated[int, Field(ge=2, le=8)] = 8

    def spiking(self, model: Graph, checkpoint: Checkpoint | None = None) -> Graph:
        tables = None if checkpoint is None else ElasticTables.read(checkpoint)
        if tables is None:
            if checkpoint is not None and checkpoint.weights is not None:
                raise ConfigError(f"{checkpoint.folder}: holds no neurons of SpikeLM", TRAIN)
            tables = ElasticTables.of_plan(self.steps or REPETITIONS)
        if self.steps not in (None, tables.repetitions):
            raise ConfigError(
                f"{self.steps} steps: the model was trained for {tables.repetitions}",
                f"leave --steps out, or train it again with --passes {self.steps}",
            )
        out = Unrolling(model, tables).graph()
        verify(out, SPIKING)
        return with_weight_bits(out, self.weight_bits)

    def threshold(self, graph: Graph) -> Graph:
        return rest(graph)


class Unrolling:
    """Draws all repetitions into one graph; nodes before any neuron are drawn only once."""

    def __init__(self, model: Graph, tables: ElasticTables) -> None:
        self.model, self.tables, self.out = model, tables, model.empty_like()
        self.keys_and_values = _keys_and_values(model)
        self.sites: dict[str, list[Alphas]] = {}  # value -> the neurons that read it
        self.leaks: dict[str, Value] = {}  # site -> what the previous repetition left

    def graph(self) -> Graph:
        common, (body, tail) = _common(self.model), _body_and_tail(self.model)
        last = tail[0].inputs[0]
        values: dict[str, Value] = {}
        outputs = []
        for t in range(self.tables.repetitions):
            drawing = las.Drawing(self.model, self.out, values if t == 0 else dict(values))
            for node in body:
                if node.name in common and t:
                    continue
                name = node.name if node.name in common else f"pass{t}.{node.name}"
                repetition = 0 if node.name in common else t
                with self.out.scope("", layer=node.layer, repetition=repetition):
                    drawing.values[node.name] = self._draw(drawing, node, name, t)
            outputs.append(drawing.values[last])
        end = las.Drawing(self.model, self.out, {last: self._mean(last, outputs)})
        for node in tail:
            with self.out.scope("", layer=node.layer):
                end.values[node.name] = las.DRAW[node.op](end, node)
        return self.out

    def _draw(self, d: las.Drawing, node: Node, name: str, t: int) -> Value:
        if node.op == "linear":
            return self._linear(d, node, name, t)
        value = las.DRAW[node.op](d, replace(node, name=name))
        if node.op == "attend":
            for part in ("keys", "values"):
                self._store_ternary(f"{name}.{part}")
        return value

    def _linear(self, d: las.Drawing, node: Node, name: str, t: int) -> Value:
        """A linear map of neurons' spikes, and neurons at its output if that is keys or values."""
        module = _module(node)
        spikes = self._neurons(d, node, self.tables.at(f"{module}.act_clip_val"), t)
        y = self.out.draw(name, "linear", (spikes,), node.axes, None, node.weights)
        if node.name not in self.keys_and_values:
            return y
        part, heads, rotary = self.keys_and_values[node.name]
        alpha = self.tables.at(f"{module.rpartition('.')[0]}.{part}")[t]
        codes = self._encode(f"{name}.spikes", d.heads(y, "h" if rotary else "k", heads), alpha)
        if not rotary:
            return codes
        gain = Tensor.of(f"{name}.ones", np.ones(node.size, np.float32))
        return d.affine(f"{name}.coded", d.view(codes, {"c": node.size}, "flat"), {"gain": gain})

    def _neurons(self, d: las.Drawing, node: Node, alphas: Alphas, t: int) -> Value:
        """Spikes of a linear map's input, shared by all maps whose neurons are alike."""
        (x,) = d.inputs(node)
        sets = self.sites.setdefault(node.inputs[0], [])
        if alphas not in sets:
            sets.append(alphas)
        site = f"{node.inputs[0]}.{sets.index(alphas)}" if alphas != sets[0] else node.inputs[0]
        name = f"pass{t}.{site}"
        if f"{name}.spikes" in self.out.nodes:
            return Value(self.out, f"{name}.spikes")
        potential = x if t == 0 else d.total(f"{name}.potential", x, self.leaks[site])
        spikes = self._encode(f"{name}.spikes", potential, alphas[t])
        if t + 1 < self.tables.repetitions:
            axes, code = self.out.axes_of(potential), {"code": elastic(alphas[t])}
            self.leaks[site] = self.out.draw(f"{name}.leak", "leak", (potential,), axes, code)
        return spikes

    def _encode(self, name: str, x: Value, alpha: float) -> Value:
        neurons = {
            "signed": True,
            "trained": self.tables.repetitions,
            "code": elastic(alpha),
            "spread": np.ones(1),
        }
        return self.out.draw(name, "encode", (x,), self.out.axes_of(x), neurons)

    def _store_ternary(self, name: str) -> None:
        """A memory of spikes holds -1, 0 and 1; rotated keys are no longer spikes."""
        node = self.out[name]
        source = self.out[node.inputs[0]]
        if source.op == "encode":
            ternary = node.with_attributes(bits=TERNARY, unit=source["code"].unit)
            self.out.nodes[name] = ternary

    def _mean(self, name: str, outputs: list[Value]) -> Value:
        """The mean of a value over all repetitions."""
        axes, count = self.out.axes_of(outputs[0]), len(outputs)
        share = np.full(self.model[name].size, 1 / count, np.float32)
        weights = {"gain": Tensor.of(f"{name}.share", share)}
        with self.out.scope("", layer=self.model[name].layer):
            signs = {"signs": (1,) * count}
            total = self.out.draw(f"{name}.total", "sum", tuple(outputs), axes, signs)
            return self.out.draw(f"{name}.mean", "affine", (total,), axes, None, weights)


def _body_and_tail(model: Graph) -> tuple[list[Node], list[Node]]:
    """The nodes to repeat, and those that read the mean: the head, if there is one, and output."""
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
    """Nodes that are the same in every repetition: no linear map comes before them."""
    common: set[str] = set()
    for node in model:
        if node.op != "linear" and set(node.inputs) <= common:
            common.add(node.name)
    return common


def _keys_and_values(model: Graph) -> Mapping[str, tuple[str, int, bool]]:
    """Linear map -> its neurons' name, heads, whether positions rotate its output."""
    maps = {}
    for attend in model:
        if attend.op != "attend":
            continue
        for part, name in (("clip_key", attend.inputs[1]), ("clip_value", attend.inputs[2])):
            node = model[name]
            rotary = node.op == "rotate"
            node = model[node.inputs[0]] if rotary else node
            if node.op != "linear":
                raise UnsupportedError(
                    f"{attend.name}: {node.op} stands between a linear map and its {part}",
                    "SpikeLM codes what the map gives: use a model of another family",
                )
            maps[node.name] = part, attend["kv_heads"], rotary
    return maps


SYSTEM = SpikeLm

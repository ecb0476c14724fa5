"""FAS: conversion by fine-tuning and calibration (arXiv 2502.04405).

The model was fine-tuned with the quantised clip-floor-shift activation (las-finetune), whose
thresholds and initial potentials lie beside its weights; here each MLP's activation becomes an IF
neuron of T steps.  Spikes that only linear maps read go straight into those maps; the spikes of a
gate are added up and then multiplied.  Everything the paper leaves in float (other inputs of linear
maps, attention, norms, softmax) is spiking as in LAS, so that nothing stays float.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from las_neuro.checkpoint import Checkpoint
from las_neuro.errors import ConfigError
from las_neuro.graph import SPIKING, Graph, Node, Tensor, Value, verify
from las_neuro.neurons.fas_tables import FasTables
from las_neuro.neurons.firing import rate
from las_neuro.systems import las
from las_neuro.systems.sites import rest

STEPS = 8  # the paper's, for a plan, which has no tables
HIDDEN = ("gelu", "gelu_tanh", "quick_gelu", "silu", "relu")


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Fas:
    """FAS (arXiv 2502.04405): fine-tuned with quantised activations, then rate-coded IF neurons.

    MLP activations; compile a folder that las-finetune has written.
    """

    steps: Annotated[int, Field(ge=1, le=63)] | None = None  # None: as many as in calibration

    def spiking(self, model: Graph, checkpoint: Checkpoint | None = None) -> Graph:
        tables = None if checkpoint is None else FasTables.read(checkpoint.folder)
        if tables is None and checkpoint is not None and checkpoint.weights is not None:
            raise ConfigError(
                f"{checkpoint.folder}: holds no thresholds of FAS",
                "fine-tune the model first: las-finetune MODEL --text FILE -o FOLDER",
            )
        drawing = las.Drawing(model, model.empty_like())

        def neurons(d: las.Drawing, node: Node) -> Value:
            return _neurons(d, node, tables, self.steps)

        rules = {**las.DRAW, "function": neurons}
        for node in model:
            with drawing.out.scope("", layer=node.layer):
                drawing.values[node.name] = rules[node.op](drawing, node)
        graph = _without_unread_relays(drawing.out)
        verify(graph, SPIKING)
        return graph

    def threshold(self, graph: Graph) -> Graph:
        return rest(graph)


def _neurons(d: las.Drawing, node: Node, tables: FasTables | None, option: int | None) -> Value:
    """IF neurons for an MLP's activation; a relay sums their spikes for readers of the value."""
    if node["fn"] not in HIDDEN:
        return las.DRAW["function"](d, node)
    (x,) = d.inputs(node)
    threshold, initial, steps = np.ones(1), np.full(1, 0.5), option or STEPS
    if tables is not None:
        steps = tables.steps
        if option not in (None, steps):
            raise ConfigError(
                f"{option} steps: the model was calibrated for {steps}",
                f"leave --steps out, or run las-finetune again with --levels {option}",
            )
        if node.layer not in tables.thresholds or len(tables.thresholds[node.layer]) != node.size:
            raise ConfigError(
                f"{node.name}: no thresholds for its {node.size} channels",
                "run las-finetune on this very model again",
            )
        threshold = tables.thresholds[node.layer].astype(np.float64)
        initial = tables.initial[node.layer].astype(np.float64)
    code = rate(threshold, initial, steps)
    neurons = {"signed": False, "trained": steps, "code": code, "spread": code.spread}
    spikes = d.out.draw(f"{node.name}.spikes", "encode", (x,), node.axes, neurons)
    gain = Tensor.of(f"{node.name}.ones", np.ones(node.size, np.float32))
    return d.out.draw(node.name, "affine", (spikes,), node.axes, None, {"gain": gain})


def _without_unread_relays(graph: Graph) -> Graph:
    """The graph without relays that no node reads."""
    readers, out = graph.readers(), graph.empty_like()
    for node in graph:
        relay = node.op == "affine" and graph[node.inputs[0]].op == "encode"
        if not (relay and not readers[node.name]):
            out.nodes[node.name] = node
    return out


SYSTEM = Fas

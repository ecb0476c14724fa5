"""FAS: conversion by fine-tuning and calibration (arXiv 2502.04405).

The model was fine-tuned with the quantised clip-floor-shift activation (las-finetune), whose
thresholds and initial potentials lie beside its weights; here each MLP's activation becomes an IF
neuron of T steps.  IF neurons whose spikes only linear maps read go straight into them; a gate's
are added up and multiplied.  Everything the paper leaves in float (other inputs of linear maps,
attention, norms, softmax) is spiking as in LAS, so that nothing stays float.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from las_neuro.errors import ConfigError
from las_neuro.fas_tables import FasTables
from las_neuro.firing import rate
from las_neuro.graph import SPIKING_OPS, Graph, Node, Tensor, Value
from las_neuro.systems import las
from las_neuro.systems.sites import REST, refuse_form

HIDDEN = ("gelu", "gelu_tanh", "quick_gelu", "silu", "relu")


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Fas:
    """FAS (arXiv 2502.04405): fine-tuned with quantised activations, then rate-coded IF neurons.

    MLP activations; compile a folder that las-finetune has written.
    """

    steps: ClassVar[int] = 8

    def spiking(self, model: Graph, folder: Path | None = None) -> Graph:
        tables = None if folder is None else FasTables.read(folder)
        if tables is None and folder is not None and (folder / "model.safetensors").exists():
            raise ConfigError(
                f"{folder}: holds no thresholds of FAS",
                "fine-tune the model first: las-finetune MODEL --text FILE -o FOLDER",
            )
        drawing = las.Drawing(model, model.empty_like())

        def neurons(d: las.Drawing, node: Node) -> Value:
            return _neurons(d, node, tables)

        rules = {**las.DRAW, "function": neurons}
        for node in model:
            with drawing.out.scope("", layer=node.layer):
                drawing.values[node.name] = rules[node.op](drawing, node)
        found = _pruned(drawing.out)
        found.check(SPIKING_OPS)
        return found

    def threshold(
        self,
        graph: Graph,
        steps: int,
        form: str = "binary",
        ranges: int = 2,
        channel_steps: bool = False,
    ) -> Graph:
        refuse_form(form, ranges, channel_steps, "fas")
        coded, out = las.threshold(graph, REST), graph.empty_like()
        for node in coded:
            if node.attrs.get("trained"):
                code = graph[node.name].attrs["code"]
                if code.steps != steps and node.range is not None:
                    raise ConfigError(
                        f"{steps} steps: the model was calibrated for {code.steps}",
                        f"leave --steps out, or run las-finetune again with --levels {steps}",
                    )
                node = replace(node, attrs={**node.attrs, "code": code})
            out.nodes[node.name] = node
        return out


def _neurons(d: las.Drawing, node: Node, tables: FasTables | None) -> Value:
    """IF neurons for an MLP's activation; a relay adds their spikes up for who needs the value."""
    if node.attrs["fn"] not in HIDDEN:
        return las.DRAW["function"](d, node)
    (x,) = d.inputs(node)
    threshold = initial = np.ones(1)
    if tables is not None:
        if node.layer not in tables.thresholds or len(tables.thresholds[node.layer]) != node.size:
            raise ConfigError(
                f"{node.name}: no thresholds for its {node.size} channels",
                "run las-finetune on this very model again",
            )
        threshold = tables.thresholds[node.layer].astype(np.float64)
        initial = tables.initial[node.layer].astype(np.float64)
    else:
        initial = np.full(1, 0.5)
    code = rate(threshold, initial, Fas.steps if tables is None else tables.steps)
    attrs = {"signed": False, "trained": True, "code": code, "spread": code.spread}
    spikes = d.out.draw(f"{node.name}.spikes", "encode", (x,), node.axes, attrs)
    gain = Tensor.of(f"{node.name}.ones", np.ones(node.size, np.float32))
    return d.out.draw(node.name, "affine", (spikes,), node.axes, None, {"gain": gain})


def _pruned(graph: Graph) -> Graph:
    """Without the relays that nobody reads."""
    readers, out = graph.readers(), graph.empty_like()
    for node in graph:
        relay = node.op == "affine" and graph[node.inputs[0]].op == "encode"
        if not (relay and not readers[node.name]):
            out.nodes[node.name] = node
    return out

"""qcfs: the activation FAS trains, the neuron it becomes, and where in a model they stand.

FAS (arXiv 2502.04405), stage 1, quantised clip-floor-shift with L levels:

    y = thr * floor(clamp(x / thr, 0, 1) * L + 0.5) / L

and after calibration the integrate-and-fire neuron of T steps, its mean output over them:

    mem_0 = m0 * thr;  mem += x;  z = [mem >= thr];  mem -= thr * z;  y = thr * sum(z) / T

With the same x in every step the sum of spikes is known in closed form, because the potential
never holds more than one spike too few: floor(clamp(x / thr, 0, 1) * T + m0) for 0 <= m0 < 1.  So
both are one staircase, and QCFS is the neuron with T = L and m0 = 0.5.

Gradients: the floor is passed straight through, as the paper does for QCFS.  The published code
trains the neuron through its T steps with a triangular surrogate; the closed form needs no steps
and gives d y / d m0 = thr / T and d y / d thr = (spikes / T) - x / thr between the ends.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor as Torch
from torch import nn

from las_neuro.errors import UnsupportedError

# model_type -> where, inside a layer, the activation of its feed-forward block is; of a gated block
# it is the gate's.
PLACES = {
    "bert": "intermediate.intermediate_act_fn",
    "distilbert": "ffn.activation",
    "gpt2": "mlp.act",
    "gpt_neox": "mlp.act",
    "llama": "mlp.act_fn",
    "mistral": "mlp.act_fn",
    "opt": "activation_fn",
    "qwen2": "mlp.act_fn",
    "roberta": "intermediate.intermediate_act_fn",
    "xlm-roberta": "intermediate.intermediate_act_fn",
}
BEFORE_FULL = 1 - 2**-10  # an initial potential of 1 would fire without any input


class Floor(torch.autograd.Function):
    """floor with the gradient of the identity."""

    @staticmethod
    def forward(ctx: Any, x: Torch) -> Torch:
        return x.floor()

    @staticmethod
    def backward(ctx: Any, gradient: Torch) -> Torch:
        return gradient


def staircase(x: Torch, threshold: Torch, initial: Torch, steps: int) -> Torch:
    """The neuron's mean output over `steps` steps of the same input; QCFS for initial = 0.5."""
    part = (x / threshold).clamp(0, 1) * steps
    spikes: Torch = Floor.apply(part + initial)  # type: ignore[no-untyped-call]
    return threshold * spikes / steps


def fired(x: Torch, threshold: Torch, initial: Torch, steps: int) -> Torch:
    """The same mean, step by step: what the closed form is tested against."""
    potential, spikes = initial * threshold + torch.zeros_like(x), torch.zeros_like(x)
    for _ in range(steps):
        potential = potential + x
        fires = (potential >= threshold).to(x.dtype)
        potential = potential - threshold * fires
        spikes = spikes + fires
    return threshold * spikes / steps


class Neuron(nn.Module):
    """Stands in place of one activation.  threshold: [] while fine-tuning, [channels] after.

    seen: the last output, kept while `keep` is set, to compare one model's layers with another's.
    """

    def __init__(self, threshold: Torch, initial: Torch, steps: int) -> None:
        super().__init__()
        self.threshold = nn.Parameter(threshold.clone())
        self.initial = nn.Parameter(initial.clone(), requires_grad=False)
        self.steps, self.keep = steps, False
        self.seen: Torch | None = None
        self.least = float(threshold.min()) / 100  # training must not carry a threshold to zero

    def forward(self, x: Torch) -> Torch:
        y = staircase(x, self.threshold, self.initial, self.steps)
        self.seen = y if self.keep else None
        return y

    def hold(self) -> None:
        """Back inside what the neuron can be, after a step of the optimizer."""
        with torch.no_grad():
            self.threshold.clamp_(min=self.least)
            self.initial.clamp_(0, BEFORE_FULL)


def places(module: nn.Module, model_type: str) -> list[str]:
    """Names of the activation modules of the feed-forward blocks, by layer."""
    if model_type not in PLACES:
        raise UnsupportedError(
            f"las-finetune does not know the feed-forward blocks of {model_type!r}",
            f"use a text model of one of {', '.join(PLACES)}",
        )
    pattern = re.compile(rf"(?:^|\.)(\d+)\.{re.escape(PLACES[model_type])}$")
    found = {
        int(match.group(1)): name
        for name, _ in module.named_modules()
        if (match := pattern.search(name))
    }
    if list(found) != list(range(len(found))) or not found:
        raise UnsupportedError(
            f"found activations of the layers {sorted(found)} only in a {model_type} model",
            "use transformers' own model class",
        )
    return list(found.values())


def put(module: nn.Module, name: str, activation: nn.Module) -> nn.Module:
    """Put an activation in its place; returns the one that stood there."""
    parent, _, attribute = name.rpartition(".")
    owner = module.get_submodule(parent)
    before: nn.Module = getattr(owner, attribute)
    setattr(owner, attribute, activation)
    return before

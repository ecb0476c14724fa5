"""qcfs: the activation that FAS trains, the neuron it becomes, and their places in a model.

FAS (arXiv 2502.04405), stage 1, quantised clip-floor-shift with L levels:

    y = thr * floor(clamp(x / thr, 0, 1) * L + 0.5) / L

and after calibration the mean output of an integrate-and-fire neuron over T steps:

    mem_0 = m0 * thr;  mem += x;  z = [mem >= thr];  mem -= thr * z;  y = thr * sum(z) / T

With the same x in every step the number of spikes has a closed form, because the neuron is never
more than one spike behind: floor(clamp(x / thr, 0, 1) * T + m0) for 0 <= m0 < 1.  So both are the
same step function, and QCFS is the neuron with T = L and m0 = 0.5.

Gradients: the floor has the gradient of the identity, as in the paper's QCFS.  The published code
trains the neuron through its T steps with a triangular surrogate; the closed form needs no steps
and gives d y / d m0 = thr / T and d y / d thr = (spikes / T) - x / thr for 0 < x < thr.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor as Torch
from torch import nn

from las_neuro.errors import UnsupportedError

# model_type -> the activation module of the feed-forward block inside a layer; in a gated block the
# gate's activation.
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
BEFORE_FULL = 1 - 2**-10  # largest m0: a potential of 1 would fire without input


class Floor(torch.autograd.Function):
    """floor, with the gradient of the identity."""

    @staticmethod
    def forward(ctx: Any, x: Torch) -> Torch:
        return x.floor()

    @staticmethod
    def backward(ctx: Any, gradient: Torch) -> Torch:
        return gradient


def staircase(x: Torch, threshold: Torch, initial: Torch, steps: int) -> Torch:
    """The neuron's mean output over `steps` steps of the same input; QCFS if initial is 0.5."""
    part = (x / threshold).clamp(0, 1) * steps
    spikes: Torch = Floor.apply(part + initial)  # type: ignore[no-untyped-call]
    return threshold * spikes / steps


def stepwise(x: Torch, threshold: Torch, initial: Torch, steps: int) -> Torch:
    """The same mean computed step by step; tests compare the closed form with it."""
    potential, spikes = initial * threshold + torch.zeros_like(x), torch.zeros_like(x)
    for _ in range(steps):
        potential = potential + x
        fires = (potential >= threshold).to(x.dtype)
        potential = potential - threshold * fires
        spikes = spikes + fires
    return threshold * spikes / steps


class Neuron(nn.Module):
    """Replaces one activation.  threshold: [] during fine-tuning, [channels] afterwards.

    recorded: the last output, stored while `recording` is set, to compare the layers of two models.
    """

    def __init__(self, threshold: Torch, initial: Torch, steps: int) -> None:
        super().__init__()
        self.threshold = nn.Parameter(threshold.clone())
        self.initial = nn.Parameter(initial.clone(), requires_grad=False)
        self.steps, self.recording = steps, False
        self.recorded: Torch | None = None
        self.least = float(threshold.min()) / 100  # keeps the optimizer from a threshold of zero

    def forward(self, x: Torch) -> Torch:
        y = staircase(x, self.threshold, self.initial, self.steps)
        self.recorded = y if self.recording else None
        return y

    def clamp(self) -> None:
        """Limit threshold and initial potential to their ranges after an optimizer step."""
        with torch.no_grad():
            self.threshold.clamp_(min=self.least)
            self.initial.clamp_(0, BEFORE_FULL)


def places(module: nn.Module, model_type: str) -> list[str]:
    """Names of the activation modules of the feed-forward blocks, in the layers' order.

    Raises `UnsupportedError` for other model types, and where a layer has no such module.
    """
    if model_type not in PLACES:
        raise UnsupportedError(
            f"las-finetune does not know the feed-forward blocks of {model_type!r}",
            f"use a text model of one of {', '.join(PLACES)}",
        )
    pattern = re.compile(rf"(?:^|\.)(\d+)\.{re.escape(PLACES[model_type])}$")
    names = {
        int(match.group(1)): name
        for name, _ in module.named_modules()
        if (match := pattern.search(name))
    }
    if list(names) != list(range(len(names))) or not names:
        raise UnsupportedError(
            f"only layers {sorted(names)} of a {model_type} model have a known activation",
            "use transformers' own model class",
        )
    return list(names.values())


def put(module: nn.Module, name: str, activation: nn.Module) -> nn.Module:
    """Replace the submodule `name` by `activation`; returns the old one."""
    parent, _, attribute = name.rpartition(".")
    owner = module.get_submodule(parent)
    before: nn.Module = getattr(owner, attribute)
    setattr(owner, attribute, activation)
    return before

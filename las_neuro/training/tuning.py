"""tuning: a model in training beside its float original, their losses and measurements."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor as Torch
from torch import nn

from las_neuro.checkpoint import Checkpoint
from las_neuro.errors import ConfigError
from las_neuro.reference.model import FloatModel
from las_neuro.rows import Tokens
from las_neuro.training.qcfs import Neuron, places, put

LARGEST_RATE = 1e30  # AdamW divides it by its bias corrections; the quotient must fit float32


@dataclass(frozen=True)
class Settings:
    """Settings of a run; an interrupted run continues only with the same settings.

    steps: time steps T.  levels: L.  batch: tokens per update.  quantile: of the float activation,
    where a threshold starts.  distil: d, the weight of the float original in the loss.  published:
    the paper's coarse calibration (fas_calibrate.py).  Raises `ConfigError` if a rate or share is
    negative, too large or not a number.
    """

    steps: int = 8
    levels: int = 8
    updates: int = 400
    batch: int = 2048
    rate: float = 3e-4
    threshold_rate: float = 1e-2
    quantile: float = 0.999
    distil: float = 0.5
    calibration_updates: int = 100
    calibration_rate: float = 3e-3
    published: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rate", "threshold_rate", "calibration_rate", "quantile", "distil"):
            value = getattr(self, name)
            if not 0 <= value <= LARGEST_RATE:
                raise ConfigError(
                    f"{name} {value} is not between 0 and {LARGEST_RATE:g}",
                    "give a number in that range",
                )


@dataclass
class Tuning:
    """A model in training beside its float original.

    originals: the activations at `names` before neurons replaced them.
    """

    model: nn.Module
    original: nn.Module
    names: list[str]
    originals: list[nn.Module]
    neurons: list[Neuron]
    causal: bool
    device: torch.device

    def put(self, activations: Sequence[nn.Module]) -> None:
        """Put these modules in the place of the activations at `names`, in their order."""
        for name, activation in zip(self.names, activations, strict=True):
            put(self.model, name, activation)

    def run(self, model: nn.Module, tokens: Tokens) -> Torch:
        """Logits of a causal model, hidden states of an encoder: [B, S, n]."""
        result = model(torch.from_numpy(tokens).to(self.device))
        output: Torch = result.logits if self.causal else result.last_hidden_state
        return output

    def loss(self, tokens: Tokens, distil: float) -> Torch:
        """The loss of fine-tuning (see finetune.py); distil: d."""
        with torch.no_grad():
            target = self.run(self.original, tokens) if distil or not self.causal else None
        output = self.run(self.model, tokens)
        if not self.causal:
            assert target is not None
            return F.mse_loss(output, target)
        loss = (1 - distil) * next_token_loss(output, torch.from_numpy(tokens).to(self.device))
        return loss if target is None else loss + distil * divergence(output, target)

    @torch.no_grad()
    def measure(self, batches: Sequence[Tokens], model: nn.Module | None = None) -> float:
        """Perplexity; for an encoder the relative error of its hidden states."""
        total, count = 0.0, 0.0
        for tokens in batches:
            output = self.run(model or self.model, tokens)
            if self.causal:
                predicted = tokens[:, 1:].size
                loss = next_token_loss(output, torch.from_numpy(tokens).to(self.device))
                total, count = total + float(loss) * predicted, count + predicted
            else:
                target = self.run(self.original, tokens)
                total += float((output - target).square().sum())
                count += float(target.square().sum())
        return math.exp(min(total / count, 700.0)) if self.causal else math.sqrt(total / count)


def next_token_loss(logits: Torch, tokens: Torch) -> Torch:
    """Mean cross-entropy of each next token, in nats."""
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


def divergence(logits: Torch, target: Torch) -> Torch:
    """KL(target || logits), mean over tokens, in nats."""
    log_p, log_target = (torch.log_softmax(x.flatten(0, 1), dim=-1) for x in (logits, target))
    return F.kl_div(log_p, log_target, reduction="batchmean", log_target=True)


def prepare(checkpoint: Checkpoint, device: torch.device) -> Tuning:
    """Two copies of the model; its activations are located but not yet replaced."""
    float_model = FloatModel.load(checkpoint)
    model = float_model.module.to(device)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    original = copy.deepcopy(model).requires_grad_(False)
    names = places(model, str(checkpoint.config["model_type"]))
    originals = [model.get_submodule(name) for name in names]
    return Tuning(model, original, names, originals, [], float_model.causal, device)


def half_cosine(update: int, updates: int) -> float:
    """The factor of a learning rate: half a cosine, from 1 towards 0."""
    return 0.5 * (1 + math.cos(math.pi * update / updates))

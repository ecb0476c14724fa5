"""elastic: SpikeLM's neurons inside transformers' model, which runs T times on each input.

SpikeLM (arXiv 2406.03287).  x[t] is the input of a linear map in repetition t, alpha[t] a scalar of
that map and repetition:

    m[0] = x[0];  m[t] = m[t-1] / 4 * (alpha[t-1] - y[t-1]) + x[t]
    y[t] = alpha[t] * clip(round(m[t] / alpha[t]), -1, 1)

Keys and values have no memory: y[t] depends on x[t] alone.  All repetitions read the same
embeddings; their last hidden states, or logits, are averaged.  Gradients pass straight through
where |m| <= alpha, along m and not along the reset, as in the paper's code.  Amplitudes are set to
2 mean |m| of the first batch and then stay fixed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor as Torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from las_neuro.checkpoint import Checkpoint
from las_neuro.errors import CheckpointError
from las_neuro.neurons.elastic_tables import LEAST, TRAIN, ElasticTables
from las_neuro.neurons.firing import LEAK

KEYS = ("k_proj", "key", "k_lin")
VALUES = ("v_proj", "value", "v_lin")
FUSED = ("c_attn", "query_key_value")


class Ternary(torch.autograd.Function):
    """alpha * clip(round(m / alpha), -1, 1); the gradient of the identity where |m| <= alpha."""

    @staticmethod
    def forward(ctx: Any, m: Torch, alpha: Torch) -> Torch:
        part = m / alpha
        ctx.save_for_backward(part.abs() <= 1)
        return alpha * part.round().clamp(-1, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Torch) -> tuple[Torch, None]:
        (inside,) = ctx.saved_tensors
        return gradient * inside, None


class Elastic(nn.Module):
    """The neurons of one linear map's inputs, of keys or of values.

    alpha [T]: NaN until the first batch has set it.  leaky: whether a repetition starts from what
    the previous one left of the potential.
    """

    alpha: Torch

    def __init__(self, repetitions: int, leaky: bool) -> None:
        super().__init__()
        self.register_buffer("alpha", torch.full((repetitions,), math.nan))
        self.leaky = leaky
        self.carry: Torch | float = 0.0

    def forward(self, x: Torch, t: int) -> Torch:
        m = x + self.carry if self.leaky and t else x
        if bool(self.alpha[t].isnan()):
            self.alpha[t] = (2 * m.detach().abs().mean()).clamp(min=LEAST)
        y: Torch = Ternary.apply(m, self.alpha[t])  # type: ignore[no-untyped-call]
        self.carry = LEAK * m * (self.alpha[t] - y).detach()
        return y


class Repeated(nn.Module):
    """A model that runs T times on each input; `neurons`: their checkpoint name -> neurons."""

    def __init__(self, model: Any, repetitions: int) -> None:
        super().__init__()
        self.model, self.repetitions, self.current = model, repetitions, 0
        self.neurons: dict[str, Elastic] = {}
        for name, module in _maps(model):
            self._hook(name, module)
        self.registered = nn.ModuleList(self.neurons.values())  # moved between devices with self

    def _hook(self, name: str, module: nn.Module) -> None:
        """Put neurons before a linear map, and after it if its outputs are keys or values."""

        def before(_: nn.Module, inputs: tuple[Torch, ...], neurons: Elastic) -> tuple[Torch]:
            return (neurons(inputs[0], self.current),)

        def after(_: nn.Module, inputs: Any, output: Torch, parts: Mapping[int, Elastic]) -> Torch:
            heads = _heads(self.model) if last == "query_key_value" else 1
            thirds = _thirds(output, heads) if last in FUSED else [output]
            for place, neurons in parts.items():
                thirds[place] = neurons(thirds[place], self.current)
            return _fused(thirds, heads) if last in FUSED else thirds[0]

        owner, _, last = name.rpartition(".")
        module.register_forward_pre_hook(
            partial(before, neurons=self._add(f"{name}.act_clip_val", leaky=True))
        )
        clips = {0: "clip_key"} if last in KEYS else {0: "clip_value"} if last in VALUES else {}
        if last in FUSED:
            clips = {1: "clip_key", 2: "clip_value"}
        if clips:
            parts = {
                place: self._add(f"{owner}.{part}", leaky=False) for place, part in clips.items()
            }
            module.register_forward_hook(partial(after, parts=parts))

    def _add(self, name: str, *, leaky: bool) -> Elastic:
        self.neurons[name] = Elastic(self.repetitions, leaky)
        return self.neurons[name]

    def forward(self, *inputs: Any, past_key_values: Any = None, **options: Any) -> SimpleNamespace:
        """The mean over all repetitions.

        past_key_values: one cache per repetition, as the last call returned them.
        """
        caches = past_key_values or [None] * self.repetitions
        outputs = []
        for self.current, cache in enumerate(caches):
            cached = {} if cache is None else {"past_key_values": cache}
            outputs.append(self.model(*inputs, **cached, **options))
        for neurons in self.neurons.values():
            neurons.carry = 0.0  # releases the autograd graph of the last repetition
        mean = SimpleNamespace(past_key_values=None)
        for field in ("logits", "last_hidden_state"):
            if getattr(outputs[0], field, None) is not None:
                setattr(mean, field, torch.stack([each[field] for each in outputs]).mean(dim=0))
        if options.get("output_hidden_states"):
            layers = zip(*(each.hidden_states for each in outputs), strict=True)
            mean.hidden_states = tuple(torch.stack(states).mean(dim=0) for states in layers)
        if getattr(outputs[0], "past_key_values", None) is not None:
            mean.past_key_values = [each.past_key_values for each in outputs]
        return mean

    def tables(self) -> ElasticTables:
        """The amplitudes as a checkpoint stores them."""
        alphas = {name: tuple(neurons.alpha.tolist()) for name, neurons in self.neurons.items()}
        return ElasticTables(self.repetitions, alphas)


def with_neurons(model: Any, checkpoint: Checkpoint) -> Any:
    """The model with the checkpoint's neurons, run T times; the model itself if it has none.

    Raises `CheckpointError` if amplitudes are missing, or belong to no linear map of the model.
    """
    tables = ElasticTables.read(checkpoint)
    if tables is None:
        return model
    repeated = Repeated(model, tables.repetitions)
    prefix = f"{getattr(model, 'base_model_prefix', '')}."
    unknown = set(tables.alphas)
    for name, neurons in repeated.neurons.items():
        names = (name, name.removeprefix(prefix), prefix + name)
        site = next((site for site in names if site in tables.alphas), None)
        if site is None:
            raise CheckpointError(
                f"{checkpoint.folder}: {name}, the amplitudes of neurons, is missing", TRAIN
            )
        neurons.alpha.copy_(torch.tensor(tables.alphas[site]))
        unknown.discard(site)
    if unknown:
        raise CheckpointError(
            f"{checkpoint.folder}: {min(unknown)} belongs to no linear map of the model", TRAIN
        )
    return repeated


def _maps(model: Any) -> Iterator[tuple[str, nn.Module]]:
    """The linear maps between embeddings and head, by name."""
    head = model.get_output_embeddings()
    for name, module in model.named_modules():
        reads_mean = module is head or name.rpartition(".")[0].endswith("pooler")
        if isinstance(module, nn.Linear | Conv1D) and not reads_mean:
            yield name, module


def _heads(model: Any) -> int:
    return int(model.config.num_attention_heads)


def _thirds(x: Torch, heads: int) -> list[Torch]:
    """Queries, keys and values of a fused map [.., heads * 3 * d]."""
    parts = x.view(*x.shape[:-1], heads, 3, -1)
    return [parts[..., n, :].flatten(-2) for n in range(3)]


def _fused(thirds: list[Torch], heads: int) -> Torch:
    parts = [x.view(*x.shape[:-1], heads, -1) for x in thirds]
    return torch.stack(parts, dim=-2).flatten(-3)

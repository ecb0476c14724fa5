"""elastic: SpikeLM's neurons inside transformers' model, and the T passes it is run in.

SpikeLM (arXiv 2406.03287), x[t] being what pass t brings to a linear map, a scalar alpha[t] a map:

    m[0] = x[0];  m[t] = m[t-1] / 4 * (alpha[t-1] - y[t-1]) + x[t]
    y[t] = alpha[t] * clip(round(m[t] / alpha[t]), -1, 1)

keys and values: y[t] of x[t] alone.  All passes read the same embeddings; their last hidden states,
or logits, are averaged.  Gradients pass straight through where |m| <= alpha, along m and not along
the reset, as in the paper's code; amplitudes are 2 mean |m| of the first batch and then fixed.
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
    """alpha * clip(round(m / alpha), -1, 1), straight through inside."""

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
    """The neurons at one place.  alpha [T]; nan until a first batch has gone through."""

    alpha: Torch

    def __init__(self, passes: int, keeps: bool) -> None:
        super().__init__()
        self.register_buffer("alpha", torch.full((passes,), math.nan))
        self.keeps = keeps
        self.left: Torch | float = 0.0

    def forward(self, x: Torch, t: int) -> Torch:
        m = x + self.left if self.keeps and t else x
        if bool(self.alpha[t].isnan()):
            self.alpha[t] = (2 * m.detach().abs().mean()).clamp(min=LEAST)
        y: Torch = Ternary.apply(m, self.alpha[t])  # type: ignore[no-untyped-call]
        self.left = LEAK * m * (self.alpha[t] - y).detach()
        return y


class Passes(nn.Module):
    """A model that is run T times; `neurons`: their checkpoint name -> neurons."""

    def __init__(self, model: Any, passes: int) -> None:
        super().__init__()
        self.model, self.passes, self.now = model, passes, 0
        self.neurons: dict[str, Elastic] = {}
        for name, module in _maps(model):
            self._put(name, module)
        self.held = nn.ModuleList(self.neurons.values())  # go where the model goes

    def _put(self, name: str, module: nn.Module) -> None:
        """Neurons before a linear map, and after it where keys or values come out."""

        def before(_: nn.Module, given: tuple[Torch, ...], neurons: Elastic) -> tuple[Torch]:
            return (neurons(given[0], self.now),)

        def after(_: nn.Module, given: Any, made: Torch, parts: Mapping[int, Elastic]) -> Torch:
            heads = _heads(self.model) if last == "query_key_value" else 1
            thirds = _thirds(made, heads) if last in FUSED else [made]
            for place, neurons in parts.items():
                thirds[place] = neurons(thirds[place], self.now)
            return _together(thirds, heads) if last in FUSED else thirds[0]

        owner, _, last = name.rpartition(".")
        module.register_forward_pre_hook(
            partial(before, neurons=self._make(f"{name}.act_clip_val", keeps=True))
        )
        kept = {0: "clip_key"} if last in KEYS else {0: "clip_value"} if last in VALUES else {}
        if last in FUSED:
            kept = {1: "clip_key", 2: "clip_value"}
        if kept:
            parts = {
                place: self._make(f"{owner}.{part}", keeps=False) for place, part in kept.items()
            }
            module.register_forward_hook(partial(after, parts=parts))

    def _make(self, name: str, *, keeps: bool) -> Elastic:
        self.neurons[name] = Elastic(self.passes, keeps)
        return self.neurons[name]

    def forward(self, *given: Any, past_key_values: Any = None, **options: Any) -> SimpleNamespace:
        """The mean of all passes; past_key_values: one cache a pass, as the last call gave them."""
        caches = past_key_values or [None] * self.passes
        found = []
        for self.now, cache in enumerate(caches):
            kept = {} if cache is None else {"past_key_values": cache}
            found.append(self.model(*given, **kept, **options))
        for neurons in self.neurons.values():
            neurons.left = 0.0  # frees the graph of the last pass
        made = SimpleNamespace(past_key_values=None)
        for field in ("logits", "last_hidden_state"):
            if getattr(found[0], field, None) is not None:
                setattr(made, field, torch.stack([one[field] for one in found]).mean(dim=0))
        if options.get("output_hidden_states"):
            layers = zip(*(one.hidden_states for one in found), strict=True)
            made.hidden_states = tuple(torch.stack(of).mean(dim=0) for of in layers)
        if getattr(found[0], "past_key_values", None) is not None:
            made.past_key_values = [one.past_key_values for one in found]
        return made

    def tables(self) -> ElasticTables:
        """The amplitudes as a checkpoint keeps them."""
        alphas = {name: tuple(of.alpha.tolist()) for name, of in self.neurons.items()}
        return ElasticTables(self.passes, alphas)


def with_neurons(model: Any, checkpoint: Checkpoint) -> Any:
    """The model in passes with the checkpoint's own neurons; itself where it has none."""
    tables = ElasticTables.read(checkpoint)
    if tables is None:
        return model
    made = Passes(model, tables.passes)
    prefix = f"{getattr(model, 'base_model_prefix', '')}."
    unknown = set(tables.alphas)
    for name, neurons in made.neurons.items():
        names = (name, name.removeprefix(prefix), prefix + name)
        known = next((known for known in names if known in tables.alphas), None)
        if known is None:
            raise CheckpointError(f"{checkpoint.folder}: holds no {name}, its neurons there", TRAIN)
        neurons.alpha.copy_(torch.tensor(tables.alphas[known]))
        unknown.discard(known)
    if unknown:
        raise CheckpointError(
            f"{checkpoint.folder}: {min(unknown)} belongs to no linear map of the model", TRAIN
        )
    return made


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


def _together(thirds: list[Torch], heads: int) -> Torch:
    parts = [x.view(*x.shape[:-1], heads, -1) for x in thirds]
    return torch.stack(parts, dim=-2).flatten(-3)

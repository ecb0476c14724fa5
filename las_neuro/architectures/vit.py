"""ViT (arXiv 2010.11929): an image's patches as tokens after a class token, pre-norm.

Outputs hidden states [D], or for ViTForImageClassification class logits [labels] at every token;
those of the class token, which comes first, are the result.  The caller supplies the patches
(`las_neuro.patches`); the class token has no pixels.  Its embedding, like the projection's bias, is
added to the position table.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from las_neuro.architectures.family import (
    Count,
    Epsilon,
    FamilyConfig,
    Layers,
    activation,
    layer_norm,
    linear,
    require_divisible,
)
from las_neuro.checkpoint import Checkpoint, Weights
from las_neuro.errors import UnsupportedError
from las_neuro.graph import Floats, Graph, Tensor, Value

MODEL_TYPES = ("vit",)

Side = Annotated[int, Field(ge=1, le=2**16)]  # pixels


class Config(FamilyConfig):
    """transformers' ViTConfig; the first two fields are those of models that read tokens."""

    vocab_size: int = 0
    max_position_embeddings: int = 0
    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Layers
    num_attention_heads: Count
    image_size: Side | Annotated[list[Side], Field(min_length=2, max_length=2)] = 224
    patch_size: Side = 16
    num_channels: Annotated[int, Field(ge=1, le=1024)] = 3
    hidden_act: str = "gelu"
    layer_norm_eps: Epsilon = 1e-12
    qkv_bias: bool = True
    architectures: list[str] | None = None
    id2label: dict[str, str] | None = None
    num_labels: Count = 2

    @model_validator(mode="after")
    def _sizes_agree(self) -> Config:
        heads, patch = self.num_attention_heads, self.patch_size
        require_divisible("hidden_size", self.hidden_size, "num_attention_heads", heads)
        for side in self.sides:
            require_divisible("image_size", side, "patch_size", patch)
        if self.longest > 2**24 or self.pixels > 2**24:
            raise ValueError(f"more than {2**24} patches, or more pixels than that in a patch")
        return self

    @property
    def sides(self) -> list[int]:
        """Height and width of an image."""
        return self.image_size if isinstance(self.image_size, list) else [self.image_size] * 2

    @property
    def pixels(self) -> int:
        """Values of one patch."""
        return self.num_channels * self.patch_size**2

    @property
    def longest(self) -> int:
        """Tokens of an image: the class token and all patches."""
        height, width = self.sides
        return 1 + (height // self.patch_size) * (width // self.patch_size)

    @property
    def labels(self) -> int:
        """Classes, 0 for a model without a classifier."""
        if "ViTForImageClassification" not in (self.architectures or ()):
            return 0
        return len(self.id2label) if self.id2label else self.num_labels


def build(cfg: Config, checkpoint: Checkpoint, context: int) -> Graph:  # -> hidden [D] or classes
    if context != cfg.longest:
        raise UnsupportedError(
            f"an image has {cfg.longest} tokens, not {context}", "omit the context"
        )
    g = Graph(cfg.model_type, context, 0, causal=False)
    w = Weights.of(checkpoint, ("vit.", ""), "embeddings.cls_token")
    x = _embed(g, cfg, w.under("embeddings"))
    for i in range(cfg.num_hidden_layers):
        with g.scope(f"layer.{i}", layer=i):
            x = _layer(g, cfg, w.under(f"encoder.layer.{i}"), x)
    with g.scope("", layer=cfg.num_hidden_layers):
        x = layer_norm(g, w, "layernorm", x, cfg.layer_norm_eps)
        if not cfg.labels:
            g.output(x, "hidden")
            return g
        g.output(linear(g, Weights(checkpoint), "classifier", x, cfg.labels), "classes")
    return g


def _embed(g: Graph, cfg: Config, w: Weights) -> Value:
    d, channels, patch = cfg.hidden_size, cfg.num_channels, cfg.patch_size
    kernel = w["patch_embeddings.projection.weight", (d, channels, patch, patch)]
    flat = Tensor(kernel.name, (d, cfg.pixels), lambda: kernel.load().reshape(d, cfg.pixels))
    with g.scope("embeddings"):
        x = g.linear("projection", g.patches("patches", cfg.pixels), flat)
        position = g.embed("position_embeddings", _positions(cfg, w), "position")
        return g.add(x, position, "position_sum")


def _positions(cfg: Config, w: Weights) -> Tensor:
    """The position table [tokens, D], plus the class token's embedding and the patches' bias."""
    d, tokens = cfg.hidden_size, cfg.longest
    positions, first = w["position_embeddings", (1, tokens, d)], w["cls_token", (1, 1, d)]
    bias = w["patch_embeddings.projection.bias", (d,)]

    def load() -> Floats:
        table: Floats = positions.load()[0].copy()
        table[0] += first.load()[0, 0]
        table[1:] += bias.load()
        return table

    return Tensor(positions.name, (tokens, d), load)


def _layer(g: Graph, cfg: Config, w: Weights, x: Value) -> Value:
    d = cfg.hidden_size
    h = layer_norm(g, w, "layernorm_before", x, cfg.layer_norm_eps)
    h = linear(g, w, "attention.output.dense", _attention(g, cfg, w, h), d)
    x = g.add(x, h, "attention_sum")
    h = linear(
        g,
        w,
        "intermediate.dense",
        layer_norm(g, w, "layernorm_after", x, cfg.layer_norm_eps),
        cfg.intermediate_size,
    )
    h = g.function("intermediate.act_fn", h, activation(cfg.hidden_act))
    return g.add(x, linear(g, w, "output.dense", h, d), "mlp_sum")


def _attention(g: Graph, cfg: Config, w: Weights, x: Value) -> Value:
    d, heads, name = cfg.hidden_size, cfg.num_attention_heads, "attention.attention"
    q, k, v = (
        linear(g, w, f"{name}.{part}", x, d, cfg.qkv_bias) for part in ("query", "key", "value")
    )
    return g.attend(name, q, k, v, heads, heads, (d // heads) ** -0.5)

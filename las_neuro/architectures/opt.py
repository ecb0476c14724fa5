"""OPT (arXiv 2205.01068): learned positions, LayerNorm before or after, ReLU, tied head.

opt-350m differs: norm after each block, and narrow embeddings with linear maps in and out.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field, model_validator

from las_neuro.architectures.family import (
    Count,
    FamilyConfig,
    Layers,
    activation,
    first_rows,
    linear,
    require_divisible,
)
from las_neuro.checkpoint import Checkpoint, Weights
from las_neuro.graph import Graph, Tensor, Value

MODEL_TYPES = ("opt",)

POSITION_OFFSET = 2  # rows 0 and 1 of the position table are for padding
EPS = 1e-5  # torch's default: OPTConfig has no such field


class Config(FamilyConfig):
    """transformers' OPTConfig."""

    hidden_size: Count
    ffn_dim: Count
    num_hidden_layers: Layers
    num_attention_heads: Count
    word_embed_proj_dim: Count | None = None
    max_position_embeddings: Count = 2048
    activation_function: str = "relu"
    do_layer_norm_before: bool = True
    remove_final_layer_norm: bool = Field(False, alias="_remove_final_layer_norm")
    layer_norm_elementwise_affine: bool = True
    enable_bias: bool = True
    tie_word_embeddings: bool = True

    @model_validator(mode="after")
    def _sizes_agree(self) -> Config:
        heads = self.num_attention_heads
        require_divisible("hidden_size", self.hidden_size, "num_attention_heads", heads)
        return self

    @property
    def word_size(self) -> int:
        return self.word_embed_proj_dim or self.hidden_size


def build(cfg: Config, checkpoint: Checkpoint, context: int) -> Graph:  # -> logits [V]
    g = Graph(cfg.model_type, context, cfg.vocab_size, causal=True)
    w = Weights.of(checkpoint, ("model.decoder.", "decoder.", ""), "embed_tokens.weight")
    embedding = w["embed_tokens.weight", (cfg.vocab_size, cfg.word_size)]
    x = _embed(g, cfg, w, embedding)
    for i in range(cfg.num_hidden_layers):
        with g.scope(f"layers.{i}", layer=i):
            x = _layer(g, cfg, w.under(f"layers.{i}"), x)
    with g.scope("", layer=cfg.num_hidden_layers):
        if cfg.do_layer_norm_before and not cfg.remove_final_layer_norm:
            x = _norm(g, cfg, w, "final_layer_norm", x)
        if cfg.word_size != cfg.hidden_size:
            x = g.linear(
                "project_out", x, w["project_out.weight", (cfg.word_size, cfg.hidden_size)]
            )
        head = embedding
        if not cfg.tie_word_embeddings:
            head = checkpoint.tensor("lm_head.weight", embedding.shape)
        g.output(g.linear("lm_head", x, head), "logits")
    return g


def _embed(g: Graph, cfg: Config, w: Weights, embedding: Tensor) -> Value:
    d = cfg.hidden_size
    table = w["embed_positions.weight", (cfg.max_position_embeddings + POSITION_OFFSET, d)]
    x = g.embed("embed_tokens", embedding)
    if cfg.word_size != d:
        x = g.linear("project_in", x, w["project_in.weight", (d, cfg.word_size)])
    rows = first_rows(table, g.context + POSITION_OFFSET)
    return g.add(x, g.embed("embed_positions", rows, "position", POSITION_OFFSET), "embedding_sum")


def _layer(g: Graph, cfg: Config, w: Weights, x: Value) -> Value:
    before = cfg.do_layer_norm_before
    h = _norm(g, cfg, w, "self_attn_layer_norm", x) if before else x
    x = g.add(x, _attention(g, cfg, w.under("self_attn"), h), "attention_sum")
    if not before:
        x = _norm(g, cfg, w, "self_attn_layer_norm", x)
    h = _norm(g, cfg, w, "final_layer_norm", x) if before else x
    h = linear(g, w, "fc1", h, cfg.ffn_dim, cfg.enable_bias)
    h = g.function("activation_fn", h, activation(cfg.activation_function))
    x = g.add(x, linear(g, w, "fc2", h, cfg.hidden_size, cfg.enable_bias), "mlp_sum")
    return x if before else _norm(g, cfg, w, "final_layer_norm", x)


def _attention(g: Graph, cfg: Config, w: Weights, x: Value) -> Value:
    d, heads = cfg.hidden_size, cfg.num_attention_heads
    with g.scope("self_attn"):
        q, k, v = (linear(g, w, f"{p}_proj", x, d, cfg.enable_bias) for p in "qkv")
    mixed = g.attend("self_attn", q, k, v, heads, heads, (d // heads) ** -0.5)
    with g.scope("self_attn"):
        return linear(g, w, "out_proj", mixed, d, cfg.enable_bias)


def _norm(g: Graph, cfg: Config, w: Weights, name: str, x: Value) -> Value:
    shape = (cfg.hidden_size,)
    if not cfg.layer_norm_elementwise_affine:
        gain, bias = _constant("ones", 1.0, shape), _constant("zeros", 0.0, shape)
        return g.layer_norm(name, x, gain, bias, EPS)
    return g.layer_norm(name, x, w[f"{name}.weight", shape], w[f"{name}.bias", shape], EPS)


def _constant(name: str, value: float, shape: tuple[int, ...]) -> Tensor:
    return Tensor.of(name, np.full(shape, value, np.float32))

"""BERT (arXiv 1810.04805): encoder, norm after each block; gives hidden states [D], unpooled.

Pooling (mean, first token) belongs to the caller: it differs between checkpoints.
"""

from __future__ import annotations

from pydantic import model_validator

from las_neuro.architectures.family import (
    Count,
    Epsilon,
    FamilyConfig,
    Layers,
    activation,
    first_rows,
    require_divisible,
)
from las_neuro.checkpoint import Checkpoint, Weights
from las_neuro.errors import UnsupportedError
from las_neuro.graph import Graph, Value


class Config(FamilyConfig):
    """transformers' BertConfig."""

    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Layers
    num_attention_heads: Count
    max_position_embeddings: Count = 512
    type_vocab_size: Count = 2
    hidden_act: str = "gelu"
    layer_norm_eps: Epsilon = 1e-12
    position_embedding_type: str | None = "absolute"
    is_decoder: bool = False
    add_cross_attention: bool = False

    @model_validator(mode="after")
    def _sizes_agree(self) -> Config:
        heads = self.num_attention_heads
        require_divisible("hidden_size", self.hidden_size, "num_attention_heads", heads)
        return self


def build(cfg: Config, checkpoint: Checkpoint, context: int) -> Graph:  # -> hidden [D]
    _refuse(cfg)
    g = Graph(cfg.model_type, context, cfg.vocab_size, causal=False)
    w = Weights.of(checkpoint, ("bert.", ""), "embeddings.word_embeddings.weight")
    x = _embed(g, cfg, w.under("embeddings"))
    for i in range(cfg.num_hidden_layers):
        with g.scope(f"layer.{i}", layer=i):
            x = _layer(g, cfg, w.under(f"encoder.layer.{i}"), x)
    with g.scope("", layer=cfg.num_hidden_layers):
        g.output(x, "hidden")
    return g


def _embed(g: Graph, cfg: Config, w: Weights) -> Value:
    d = cfg.hidden_size
    positions = w["position_embeddings.weight", (cfg.max_position_embeddings, d)]
    types = w["token_type_embeddings.weight", (cfg.type_vocab_size, d)]
    with g.scope("embeddings"):
        x = g.embed("word_embeddings", w["word_embeddings.weight", (cfg.vocab_size, d)])
        position = g.embed("position_embeddings", first_rows(positions, g.context), "position")
        x = g.add(x, position, "position_sum")
        x = g.add(x, g.embed("token_type_embeddings", types, "type"), "type_sum")
        return _norm(g, cfg, w, x)


def _layer(g: Graph, cfg: Config, w: Weights, x: Value) -> Value:
    mixed = _attention(g, cfg, w.under("attention.self"), x)
    with g.scope("attention.output"):
        out = w.under("attention.output")
        h = _linear(g, out, "dense", mixed, cfg.hidden_size)
        x = _norm(g, cfg, out, g.add(x, h, "sum"))
    with g.scope("intermediate"):
        h = _linear(g, w.under("intermediate"), "dense", x, cfg.intermediate_size)
        h = g.function("act_fn", h, activation(cfg.hidden_act))
    with g.scope("output"):
        h = _linear(g, w.under("output"), "dense", h, cfg.hidden_size)
        return _norm(g, cfg, w.under("output"), g.add(x, h, "sum"))


def _attention(g: Graph, cfg: Config, w: Weights, x: Value) -> Value:
    d, heads = cfg.hidden_size, cfg.num_attention_heads
    with g.scope("attention.self"):
        q, k, v = (_linear(g, w, name, x, d) for name in ("query", "key", "value"))
    return g.attend("attention.self", q, k, v, heads, heads, (d // heads) ** -0.5)


def _linear(g: Graph, w: Weights, name: str, x: Value, out: int) -> Value:
    weight = w[f"{name}.weight", (out, g[x.name].size)]
    return g.linear(name, x, weight, w[f"{name}.bias", (out,)])


def _norm(g: Graph, cfg: Config, w: Weights, x: Value) -> Value:
    shape = (cfg.hidden_size,)  # gamma and beta: names of checkpoints made from TensorFlow's
    gain = w.either(("LayerNorm.weight", "LayerNorm.gamma"), shape)
    bias = w.either(("LayerNorm.bias", "LayerNorm.beta"), shape)
    return g.layer_norm("LayerNorm", x, gain, bias, cfg.layer_norm_eps)


def _refuse(cfg: Config) -> None:
    if cfg.position_embedding_type not in (None, "absolute"):
        raise UnsupportedError(
            f"position_embedding_type {cfg.position_embedding_type!r} is not known",
            "use a BERT with absolute positions",
        )
    if cfg.is_decoder or cfg.add_cross_attention:
        raise UnsupportedError("a BERT used as a decoder is not known", "use an encoder BERT")

"""BERT (arXiv 1810.04805): encoder, norm after each block; outputs hidden states [D], unpooled.

Pooling (mean, first token) is left to the caller because it differs between checkpoints.  RoBERTa
and DistilBERT use the functions of this file, DistilBERT with other `Names`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import model_validator

from las_neuro.architectures.family import (
    Count,
    Epsilon,
    FamilyConfig,
    Layers,
    activation,
    first_rows,
    linear,
    require_divisible,
)
from las_neuro.checkpoint import Checkpoint, Weights
from las_neuro.errors import UnsupportedError
from las_neuro.graph import Graph, Value

MODEL_TYPES = ("bert",)


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


@dataclass(frozen=True)
class Names:
    """A checkpoint's names for the parts of a layer."""

    attention: str = "attention.self"
    qkv: tuple[str, ...] = ("query", "key", "value")  # below `attention`
    out: str = "attention.output.dense"
    attention_norm: str = "attention.output.LayerNorm"
    up: str = "intermediate.dense"
    down: str = "output.dense"
    norm: str = "output.LayerNorm"


BERT = Names()


def build(cfg: Config, checkpoint: Checkpoint, context: int) -> Graph:  # -> hidden [D]
    return encoder(cfg, checkpoint, context, prefix="bert.")


def encoder(
    cfg: Config, checkpoint: Checkpoint, context: int, prefix: str, first_position: int = 0
) -> Graph:
    """The whole model; the first token gets row `first_position` of the position table."""
    refuse(cfg)
    g = Graph(cfg.model_type, context, cfg.vocab_size, causal=False)
    w = Weights.of(checkpoint, (prefix, ""), "embeddings.word_embeddings.weight")
    x = _embed(g, cfg, w.under("embeddings"), first_position)
    return layers(g, cfg, w.under("encoder"), x, BERT)


def _embed(g: Graph, cfg: Config, w: Weights, first: int) -> Value:
    types = w["token_type_embeddings.weight", (cfg.type_vocab_size, cfg.hidden_size)]
    with g.scope("embeddings"):
        x = words_and_positions(g, cfg, w, first)
        x = g.add(x, g.embed("token_type_embeddings", types, "type"), "type_sum")
        return norm(g, cfg, w, "LayerNorm", x)


def words_and_positions(g: Graph, cfg: Config, w: Weights, first: int = 0) -> Value:
    d = cfg.hidden_size
    positions = w["position_embeddings.weight", (cfg.max_position_embeddings, d)]
    x = g.embed("word_embeddings", w["word_embeddings.weight", (cfg.vocab_size, d)])
    rows = first_rows(positions, g.context + first)
    return g.add(x, g.embed("position_embeddings", rows, "position", first), "position_sum")


def layers(g: Graph, cfg: Config, w: Weights, x: Value, names: Names) -> Graph:
    """All layers after the embeddings, and the output."""
    for i in range(cfg.num_hidden_layers):
        with g.scope(f"layer.{i}", layer=i):
            x = _layer(g, cfg, w.under(f"layer.{i}"), x, names)
    with g.scope("", layer=cfg.num_hidden_layers):
        g.output(x, "hidden")
    return g


def _layer(g: Graph, cfg: Config, w: Weights, x: Value, names: Names) -> Value:
    h = linear(g, w, names.out, _attention(g, cfg, w, x, names), cfg.hidden_size)
    x = norm(g, cfg, w, names.attention_norm, g.add(x, h, f"{_parent(names.out)}.sum"))
    h = linear(g, w, names.up, x, cfg.intermediate_size)
    h = g.function(f"{_parent(names.up)}.act_fn", h, activation(cfg.hidden_act))
    h = linear(g, w, names.down, h, cfg.hidden_size)
    return norm(g, cfg, w, names.norm, g.add(x, h, f"{_parent(names.down)}.sum"))


def _attention(g: Graph, cfg: Config, w: Weights, x: Value, names: Names) -> Value:
    d, heads = cfg.hidden_size, cfg.num_attention_heads
    q, k, v = (linear(g, w, f"{names.attention}.{part}", x, d) for part in names.qkv)
    return g.attend(names.attention, q, k, v, heads, heads, (d // heads) ** -0.5)


def _parent(name: str) -> str:
    return name.rpartition(".")[0]


def norm(g: Graph, cfg: Config, w: Weights, name: str, x: Value) -> Value:
    """Layer norm of x [D]."""
    shape = (cfg.hidden_size,)  # gamma and beta: in checkpoints converted from TensorFlow
    gain = w.either((f"{name}.weight", f"{name}.gamma"), shape)
    bias = w.either((f"{name}.bias", f"{name}.beta"), shape)
    return g.layer_norm(name, x, gain, bias, cfg.layer_norm_eps)


def refuse(cfg: Config) -> None:
    """Raise `UnsupportedError` for settings that make the model a different network."""
    if cfg.position_embedding_type not in (None, "absolute"):
        raise UnsupportedError(
            f"position_embedding_type {cfg.position_embedding_type!r} is not supported",
            f"use a {cfg.model_type} model with absolute positions",
        )
    if cfg.is_decoder or cfg.add_cross_attention:
        raise UnsupportedError(
            f"a {cfg.model_type} model used as a decoder is not supported", "use an encoder"
        )

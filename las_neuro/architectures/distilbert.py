"""DistilBERT (arXiv 1910.01108): BERT without token types, with other names for its weights."""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, Field, model_validator

from las_neuro.architectures import bert
from las_neuro.architectures.family import Count, Layers
from las_neuro.checkpoint import Checkpoint, Weights
from las_neuro.graph import Graph

MODEL_TYPES = ("distilbert",)

NAMES = bert.Names(
    attention="attention",
    qkv=("q_lin", "k_lin", "v_lin"),
    out="attention.out_lin",
    attention_norm="sa_layer_norm",
    up="ffn.lin1",
    down="ffn.lin2",
    norm="output_layer_norm",
)


class Config(bert.Config):
    """transformers' DistilBertConfig, which accepts three of its fields under BERT's names too."""

    hidden_size: Count = Field(768, validation_alias=AliasChoices("dim", "hidden_size"))
    num_hidden_layers: Layers = Field(
        6, validation_alias=AliasChoices("n_layers", "num_hidden_layers")
    )
    num_attention_heads: Count = Field(
        12, validation_alias=AliasChoices("n_heads", "num_attention_heads")
    )
    intermediate_size: Count = Field(3072, validation_alias="hidden_dim")
    hidden_act: str = Field("gelu", validation_alias="activation")

    @model_validator(mode="before")
    @classmethod
    def _fixed_epsilon(cls, raw: Any) -> Any:
        """DistilBERT has no such field: epsilon is 1e-12, whatever config.json says."""
        return raw | {"layer_norm_eps": 1e-12} if isinstance(raw, dict) else raw


def build(cfg: Config, checkpoint: Checkpoint, context: int) -> Graph:  # -> hidden [D]
    bert.refuse(cfg)
    g = Graph(cfg.model_type, context, cfg.vocab_size, causal=False)
    w = Weights.of(checkpoint, ("distilbert.", ""), "embeddings.word_embeddings.weight")
    with g.scope("embeddings"):
        x = bert.words_and_positions(g, cfg, w.under("embeddings"))
        x = bert.norm(g, cfg, w.under("embeddings"), "LayerNorm", x)
    return bert.layers(g, cfg, w.under("transformer"), x, NAMES)

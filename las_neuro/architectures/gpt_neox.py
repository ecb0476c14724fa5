"""GPT-NeoX (arXiv 2204.06745), Pythia: attention and feed-forward in parallel, partly rotary.

q, k and v are one matrix whose rows are q, k, v of head 0, then those of head 1, and so on.
"""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

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
from las_neuro.architectures.rotary import rotary_tables
from las_neuro.checkpoint import Checkpoint, Weights
from las_neuro.graph import Floats, Graph, Tensor, Value

MODEL_TYPES = ("gpt_neox",)


class Config(FamilyConfig):
    """transformers' GPTNeoXConfig; newer versions keep all rotary fields in `rope_parameters`."""

    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Layers
    num_attention_heads: Count
    max_position_embeddings: Count = 2048
    hidden_act: str = "gelu"
    layer_norm_eps: Epsilon = 1e-5
    rotary_pct: float = 0.25
    rotary_emb_base: float = 10000.0
    rope_scaling: dict[str, Any] | None = None
    rope_parameters: dict[str, Any] | None = None
    use_parallel_residual: bool = True
    attention_bias: bool = True
    tie_word_embeddings: bool = False

    @model_validator(mode="after")
    def _sizes_agree(self) -> Config:
        heads = self.num_attention_heads
        require_divisible("hidden_size", self.hidden_size, "num_attention_heads", heads)
        if not 0 < self.part <= 1:
            raise ValueError(f"rotary_pct {self.part} is not above 0 and at most 1")
        if self.rotated < 2 or self.rotated % 2:
            raise ValueError(
                f"rotary_pct {self.part} rotates {self.rotated} of {self.size} values per head, "
                "not pairs"
            )
        if not 0 < self.theta < float("inf"):
            raise ValueError(f"rotary_emb_base {self.theta} is not a positive number")
        return self

    @property
    def size(self) -> int:
        """Values per head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def rotated(self) -> int:
        """Values per head that are rotated."""
        return int(self.size * self.part)

    @property
    def part(self) -> float:
        return self._rope("partial_rotary_factor", self.rotary_pct)

    @property
    def theta(self) -> float:
        return self._rope("rope_theta", self.rotary_emb_base)

    def _rope(self, key: str, older: float) -> float:
        value = (self.rope_parameters or {}).get(key, older)
        return float(value) if isinstance(value, int | float) else 0.0


def build(cfg: Config, checkpoint: Checkpoint, context: int) -> Graph:  # -> logits [V]
    g = Graph(cfg.model_type, context, cfg.vocab_size, causal=True)
    w = Weights.of(checkpoint, ("gpt_neox.", ""), "embed_in.weight")
    embedding = w["embed_in.weight", (cfg.vocab_size, cfg.hidden_size)]
    scaling = cfg.rope_parameters or cfg.rope_scaling
    tables = rotary_tables(context, cfg.rotated, cfg.theta, scaling)
    x = g.embed("embed_in", embedding)
    for i in range(cfg.num_hidden_layers):
        with g.scope(f"layers.{i}", layer=i):
            x = _layer(g, cfg, w.under(f"layers.{i}"), x, tables)
    with g.scope("", layer=cfg.num_hidden_layers):
        x = layer_norm(g, w, "final_layer_norm", x, cfg.layer_norm_eps)
        head = embedding
        if not cfg.tie_word_embeddings:
            head = checkpoint.tensor("embed_out.weight", embedding.shape)
        g.output(g.linear("embed_out", x, head), "logits")
    return g


def _layer(g: Graph, cfg: Config, w: Weights, x: Value, tables: tuple[Tensor, Tensor]) -> Value:
    h = layer_norm(g, w, "input_layernorm", x, cfg.layer_norm_eps)
    mixed = g.add(x, _attention(g, cfg, w.under("attention"), h, tables), "attention_sum")
    source = x if cfg.use_parallel_residual else mixed
    h = layer_norm(g, w, "post_attention_layernorm", source, cfg.layer_norm_eps)
    with g.scope("mlp"):
        mlp = w.under("mlp")
        h = linear(g, mlp, "dense_h_to_4h", h, cfg.intermediate_size)
        h = g.function("act", h, activation(cfg.hidden_act))
        h = linear(g, mlp, "dense_4h_to_h", h, cfg.hidden_size)
    return g.add(mixed, h, "mlp_sum")


def _attention(g: Graph, cfg: Config, w: Weights, x: Value, tables: tuple[Tensor, Tensor]) -> Value:
    d, heads, has_bias = cfg.hidden_size, cfg.num_attention_heads, cfg.attention_bias
    fused = w["query_key_value.weight", (3 * d, d)]
    bias = w["query_key_value.bias", (3 * d,)] if has_bias else None
    with g.scope("attention"):
        q, k, v = (
            g.linear(part, x, _third(fused, heads, n), _third(bias, heads, n) if bias else None)
            for n, part in enumerate(("query", "key", "value"))
        )
        q = g.rotate("query_rotary", q, *tables, heads)
        k = g.rotate("key_rotary", k, *tables, heads)
    mixed = g.attend("attention", q, k, v, heads, heads, cfg.size**-0.5)
    with g.scope("attention"):
        return linear(g, w, "dense", mixed, d, has_bias)


def _third(fused: Tensor, heads: int, n: int) -> Tensor:
    """The n-th third of every head of a fused map [heads * 3 * size, ...]: [heads * size, ...]."""
    rows, *rest = fused.shape

    def load() -> Floats:
        by_head = fused.load().reshape(heads, 3, rows // (3 * heads), *rest)
        return by_head[:, n].reshape(rows // 3, *rest)

    return Tensor(f"{fused.name}[{n}::3]", (rows // 3, *rest), load)

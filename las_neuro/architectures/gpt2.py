"""GPT-2: pre-norm, learned positions, LayerNorm, fused q, k, v; weights stored [in, out]."""

from __future__ import annotations

from pydantic import Field, model_validator

from las_neuro.architectures.family import (
    Count,
    Epsilon,
    FamilyConfig,
    Layers,
    activation,
    first_rows,
    layer_norm,
    require_divisible,
)
from las_neuro.checkpoint import Checkpoint, Weights
from las_neuro.graph import Graph, Tensor, Value

MODEL_TYPES = ("gpt2",)


class Config(FamilyConfig):
    """transformers' GPT2Config."""

    max_position_embeddings: Count = Field(1024, alias="n_positions")
    n_embd: Count = 768
    n_layer: Layers = 12
    n_head: Count = 12
    n_inner: Count | None = None
    activation_function: str = "gelu_new"
    layer_norm_epsilon: Epsilon = 1e-5
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    tie_word_embeddings: bool = True

    @model_validator(mode="after")
    def _sizes_agree(self) -> Config:
        require_divisible("n_embd", self.n_embd, "n_head", self.n_head)
        return self


def build(cfg: Config, checkpoint: Checkpoint, context: int) -> Graph:  # -> logits [V]
    g = Graph(cfg.model_type, context, cfg.vocab_size, causal=True)
    w = Weights.of(checkpoint, ("transformer.", ""), "wte.weight")
    embedding = w["wte.weight", (cfg.vocab_size, cfg.n_embd)]
    positions = w["wpe.weight", (cfg.max_position_embeddings, cfg.n_embd)]
    words = g.embed("wte", embedding)
    x = g.add(words, g.embed("wpe", first_rows(positions, context), "position"), "embedding_sum")
    for i in range(cfg.n_layer):
        with g.scope(f"h.{i}", layer=i):
            x = _block(g, cfg, w.under(f"h.{i}"), x, i)
    with g.scope("", layer=cfg.n_layer):
        x = layer_norm(g, w, "ln_f", x, cfg.layer_norm_epsilon)
        head = embedding
        if not cfg.tie_word_embeddings:
            head = checkpoint.tensor("lm_head.weight", embedding.shape)
        g.output(g.linear("lm_head", x, head), "logits")
    return g


def _block(g: Graph, cfg: Config, w: Weights, x: Value, i: int) -> Value:
    d, inner = cfg.n_embd, cfg.n_inner or 4 * cfg.n_embd
    x = g.add(
        x,
        _attention(g, cfg, w.under("attn"), layer_norm(g, w, "ln_1", x, cfg.layer_norm_epsilon), i),
        "attn_sum",
    )
    with g.scope("mlp"):
        mlp = w.under("mlp")
        h = _linear(g, mlp, "c_fc", layer_norm(g, w, "ln_2", x, cfg.layer_norm_epsilon), inner)
        h = g.function("act", h, activation(cfg.activation_function))
        h = _linear(g, mlp, "c_proj", h, d)
    return g.add(x, h, "mlp_sum")


def _attention(g: Graph, cfg: Config, w: Weights, x: Value, i: int) -> Value:
    d, heads = cfg.n_embd, cfg.n_head
    fused, bias = w["c_attn.weight", (d, 3 * d)], w["c_attn.bias", (3 * d,)]
    scale = (d // heads) ** -0.5 if cfg.scale_attn_weights else 1.0
    if cfg.scale_attn_by_inverse_layer_idx:
        scale /= i + 1
    with g.scope("attn"):
        q, k, v = (
            g.linear(part, x, _columns(fused, n * d, d), _columns(bias, n * d, d))
            for n, part in enumerate("qkv")
        )
    mixed = g.attend("attn", q, k, v, heads, heads, scale)
    with g.scope("attn"):
        return _linear(g, w, "c_proj", mixed, d)


def _columns(fused: Tensor, start: int, count: int) -> Tensor:
    """Outputs start .. start + count of a fused map [in, out] or bias [out], as [count, ..]."""
    shape = (count, *fused.shape[:-1])
    name = f"{fused.name}[{start}:{start + count}]"
    return Tensor(name, shape, lambda: fused.load()[..., start : start + count].T.copy())


def _linear(g: Graph, w: Weights, name: str, x: Value, out: int) -> Value:
    weight = w[f"{name}.weight", (g[x.name].size, out)]
    return g.linear(name, x, _columns(weight, 0, out), w[f"{name}.bias", (out,)])

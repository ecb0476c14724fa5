"""Llama: pre-norm, rotary, RMSNorm, gated feed-forward.  Sizes: D hidden, V vocabulary.

Mistral is the same with a sliding window (arXiv 2310.06825, section 2) in every layer; Qwen2 has
biases on q, k and v and, if its config says so, windows in some layers.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from las_neuro.architectures.family import (
    Count,
    Epsilon,
    FamilyConfig,
    Layers,
    activation,
    linear,
    require_divisible,
)
from las_neuro.architectures.rotary import rotary_tables
from las_neuro.checkpoint import Checkpoint, Weights
from las_neuro.errors import UnsupportedError
from las_neuro.graph import Graph, Tensor, Value

MODEL_TYPES = ("llama", "mistral", "qwen2")

Tables = tuple[Tensor, Tensor]  # cos, sin [context, d_rot]


class Config(FamilyConfig):
    """transformers' LlamaConfig; newer versions keep theta and scaling in `rope_parameters`."""

    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Layers
    num_attention_heads: Count
    num_key_value_heads: Count | None = None
    head_dim: Count | None = None
    max_position_embeddings: Count = 2048
    hidden_act: str = "silu"
    rms_norm_eps: Epsilon = 1e-6
    rope_theta: float = 10000.0
    rope_scaling: dict[str, Any] | None = None
    rope_parameters: dict[str, Any] | None = None
    partial_rotary_factor: float = 1.0
    attention_bias: bool = False
    mlp_bias: bool = False
    tie_word_embeddings: bool = False
    sliding_window: Count | None = None
    max_window_layers: int = 28
    layer_types: list[Literal["full_attention", "sliding_attention"]] | None = None

    @model_validator(mode="before")
    @classmethod
    def _relatives(cls, raw: Any) -> Any:
        """Defaults of Mistral and Qwen2 that differ from Llama's; Llama has no windows."""
        family = raw.get("model_type") if isinstance(raw, dict) else None
        if family == "mistral":
            return {"sliding_window": 4096, "num_key_value_heads": 8} | raw | {"layer_types": None}
        if family == "qwen2" and raw.get("use_sliding_window"):
            return {"sliding_window": 4096} | raw | {"attention_bias": True}
        if family == "qwen2":
            return raw | {"sliding_window": None, "attention_bias": True}
        return raw | {"sliding_window": None} if isinstance(raw, dict) else raw

    @model_validator(mode="after")
    def _sizes_agree(self) -> Config:
        heads = self.num_attention_heads
        if self.head_dim is None:
            require_divisible("hidden_size", self.hidden_size, "num_attention_heads", heads)
        require_divisible("num_attention_heads", heads, "num_key_value_heads", self.kv_heads)
        require_divisible("head_dim", self.size, "2", 2)
        if heads * self.size > 2**24:
            raise ValueError(f"num_attention_heads {heads} of {self.size} exceed {2**24} values")
        if self.layer_types is not None and len(self.layer_types) != self.num_hidden_layers:
            raise ValueError(
                f"{len(self.layer_types)} layer_types for {self.num_hidden_layers} layers"
            )
        if not 0 < self.theta < float("inf"):
            raise ValueError(f"rope_theta {self.theta} is not a positive number")
        return self

    @property
    def kv_heads(self) -> int:
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def size(self) -> int:
        """Values per head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    def window(self, layer: int) -> int | None:
        """Tokens that a token of this layer attends to, including itself; None: all."""
        if self.layer_types is not None:
            slides = self.layer_types[layer] == "sliding_attention"
        else:
            slides = self.model_type == "mistral" or layer >= self.max_window_layers
        return self.sliding_window if slides else None

    @property
    def theta(self) -> float:
        theta = (self.rope_parameters or {}).get("rope_theta", self.rope_theta)
        return float(theta) if isinstance(theta, int | float) else 0.0


def build(cfg: Config, checkpoint: Checkpoint, context: int) -> Graph:  # -> logits [V]
    _refuse(cfg)
    g = Graph(cfg.model_type, context, cfg.vocab_size, causal=True)
    w = Weights.of(checkpoint, ("model.", ""), "embed_tokens.weight")
    d = cfg.hidden_size
    embedding = w["embed_tokens.weight", (cfg.vocab_size, d)]
    tables = rotary_tables(context, cfg.size, cfg.theta, cfg.rope_parameters or cfg.rope_scaling)
    x = g.embed("embed_tokens", embedding)
    for i in range(cfg.num_hidden_layers):
        with g.scope(f"layers.{i}", layer=i):
            x = _layer(g, cfg, w.under(f"layers.{i}"), x, tables, cfg.window(i))
    with g.scope("", layer=cfg.num_hidden_layers):
        x = g.rms_norm("norm", x, w["norm.weight", (d,)], cfg.rms_norm_eps)
        tied = cfg.tie_word_embeddings
        head = embedding if tied else checkpoint.tensor("lm_head.weight", (cfg.vocab_size, d))
        g.output(g.linear("lm_head", x, head), "logits")
    return g


def _layer(
    g: Graph, cfg: Config, w: Weights, x: Value, tables: Tables, window: int | None
) -> Value:
    d = cfg.hidden_size
    gain = w["input_layernorm.weight", (d,)]
    h = g.rms_norm("input_layernorm", x, gain, cfg.rms_norm_eps)
    x = g.add(x, _attention(g, cfg, w.under("self_attn"), h, tables, window), "attention_sum")
    gain = w["post_attention_layernorm.weight", (d,)]
    h = g.rms_norm("post_attention_layernorm", x, gain, cfg.rms_norm_eps)
    return g.add(x, _feed_forward(g, cfg, w.under("mlp"), h), "mlp_sum")


def _attention(
    g: Graph, cfg: Config, w: Weights, x: Value, tables: Tables, window: int | None
) -> Value:
    cos, sin = tables
    heads, kv_heads, size = cfg.num_attention_heads, cfg.kv_heads, cfg.size
    widths = {"q_proj": heads * size, "k_proj": kv_heads * size, "v_proj": kv_heads * size}
    with g.scope("self_attn"):
        q, k, v = (linear(g, w, n, x, width, cfg.attention_bias) for n, width in widths.items())
        q = g.rotate("q_rotary", q, cos, sin, heads)
        k = g.rotate("k_rotary", k, cos, sin, kv_heads)
    mixed = g.attend("self_attn", q, k, v, heads, kv_heads, size**-0.5, window)
    with g.scope("self_attn"):
        bias = cfg.attention_bias and cfg.model_type != "qwen2"  # Qwen2: on q, k and v only
        return linear(g, w, "o_proj", mixed, cfg.hidden_size, bias)


def _feed_forward(g: Graph, cfg: Config, w: Weights, x: Value) -> Value:
    with g.scope("mlp"):
        gate = linear(g, w, "gate_proj", x, cfg.intermediate_size, cfg.mlp_bias)
        up = linear(g, w, "up_proj", x, cfg.intermediate_size, cfg.mlp_bias)
        gated = g.multiply(g.function("act_fn", gate, activation(cfg.hidden_act)), up, "gated")
        return linear(g, w, "down_proj", gated, cfg.hidden_size, cfg.mlp_bias)


def _refuse(cfg: Config) -> None:
    if cfg.partial_rotary_factor != 1.0:
        raise UnsupportedError(
            f"partial_rotary_factor {cfg.partial_rotary_factor} is not supported", "set it to 1"
        )

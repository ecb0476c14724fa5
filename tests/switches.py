"""Every family and every switch of its config.json that changes how the model is drawn."""

from __future__ import annotations

from typing import Any

import pytest

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
LLAMA: dict[str, dict[str, Any]] = {
    "plain": {},
    "grouped": {"num_key_value_heads": 2},
    "one_kv_head": {"num_key_value_heads": 1},
    "tied": {"tie_word_embeddings": True},
    "biases": {"attention_bias": True, "mlp_bias": True},
    "head_dim": {"head_dim": 10, "num_key_value_heads": 2},
    "theta": {"rope_theta": 500.0, "rms_norm_eps": 1e-3},
    "linear_rope": {"rope_scaling": {"rope_type": "linear", "factor": 3.0}},
    "llama3_rope": {"rope_scaling": LLAMA3, "rope_theta": 50.0},
    "gelu": {"hidden_act": "gelu_pytorch_tanh"},
}
OPT: dict[str, dict[str, Any]] = {
    "plain": {},
    "gelu": {"activation_function": "gelu"},
    "norm_after": {"do_layer_norm_before": False},
    "projected": {"do_layer_norm_before": False, "word_embed_proj_dim": 12},
    "projected_before": {"word_embed_proj_dim": 12},
    "untied": {"tie_word_embeddings": False},
    "no_bias": {"enable_bias": False},
    "no_final_norm": {"_remove_final_layer_norm": True},
}
BERT: dict[str, dict[str, Any]] = {
    "plain": {},
    "gelu_new": {"hidden_act": "gelu_new"},
    "relu": {"hidden_act": "relu"},
    "tanh": {"hidden_act": "tanh"},
    "one_type": {"type_vocab_size": 1},
    "eps": {"layer_norm_eps": 1e-2},
}
GPT2: dict[str, dict[str, Any]] = {
    "plain": {},
    "untied": {"tie_word_embeddings": False},
    "relu": {"activation_function": "relu"},
    "quick_gelu": {"activation_function": "quick_gelu"},
    "sigmoid": {"activation_function": "sigmoid"},
    "unscaled": {"scale_attn_weights": False},
    "by_layer": {"scale_attn_by_inverse_layer_idx": True},
    "eps": {"layer_norm_epsilon": 1e-2},
}
WINDOWED = {"use_sliding_window": True, "sliding_window": 5, "num_key_value_heads": 2}
QWEN2: dict[str, dict[str, Any]] = {
    "grouped": {"num_key_value_heads": 2},
    "tied": {"num_key_value_heads": 4, "tie_word_embeddings": True},
    "windows_above": WINDOWED | {"max_window_layers": 1},
    "windows_named": WINDOWED | {"layer_types": ["sliding_attention", "full_attention"]},
    "no_windows": WINDOWED | {"use_sliding_window": False, "max_window_layers": 0},
}
GPT_NEOX: dict[str, dict[str, Any]] = {
    "plain": {},
    "sequential": {"use_parallel_residual": False},
    "all_rotary": {"rotary_pct": 1.0, "rotary_emb_base": 50},
    "no_bias": {"attention_bias": False},
    "tied": {"tie_word_embeddings": True},
    "linear_rope": {"rope_scaling": {"rope_type": "linear", "factor": 3.0}},
    "llama3_rope": {"rope_scaling": LLAMA3, "rotary_emb_base": 50},
    "gelu_new": {"hidden_act": "gelu_new"},
    "eps": {"layer_norm_eps": 1e-2},
}
ROBERTA: dict[str, dict[str, Any]] = {
    "plain": {},
    "one_type": {"type_vocab_size": 1},
    "pad_0": {"pad_token_id": 0, "max_position_embeddings": 21},
    "eps": {"layer_norm_eps": 1e-2},
}
DISTILBERT: dict[str, dict[str, Any]] = {
    "plain": {},
    "relu": {"activation": "relu"},
    "eps_is_ignored": {"layer_norm_eps": 1e-2},
}
FAMILIES = {
    "llama": LLAMA,
    "opt": OPT,
    "bert": BERT,
    "gpt2": GPT2,
    "qwen2": QWEN2,
    "gpt_neox": GPT_NEOX,
    "roberta": ROBERTA,
    "xlm-roberta": {"plain": {}},
    "distilbert": DISTILBERT,
}
CASES = [
    pytest.param(family, fields, id=f"{family}-{name}")
    for family, cases in FAMILIES.items()
    for name, fields in cases.items()
] + [
    pytest.param(
        "mistral", {"sliding_window": window, "num_key_value_heads": 2}, id=f"window-{window}"
    )
    for window in (32, 20, 19, 5, 1)
]

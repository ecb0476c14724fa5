"""Tiny random models of every family."""

from __future__ import annotations

from typing import Any

import torch
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    RobertaConfig,
    RobertaModel,
    ViTConfig,
    ViTForImageClassification,
    ViTModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

CLASSES = {
    "llama": (LlamaConfig, LlamaForCausalLM),
    "mistral": (MistralConfig, MistralForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "gpt2": (GPT2Config, GPT2LMHeadModel),
    "opt": (OPTConfig, OPTForCausalLM),
    "gpt_neox": (GPTNeoXConfig, GPTNeoXForCausalLM),
    "bert": (BertConfig, BertModel),
    "roberta": (RobertaConfig, RobertaModel),
    "xlm-roberta": (XLMRobertaConfig, XLMRobertaModel),
    "distilbert": (DistilBertConfig, DistilBertModel),
    "vit": (ViTConfig, ViTModel),
    "vit-classifier": (ViTConfig, ViTForImageClassification),
}
SMALL: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 20,
}
WIDTH = {
    "llama": "intermediate_size",
    "mistral": "intermediate_size",
    "opt": "ffn_dim",
    "gpt2": "n_inner",
    "distilbert": "hidden_dim",
}
OWN: dict[str, dict[str, Any]] = {
    "opt": {"word_embed_proj_dim": 24},
    "gpt_neox": {"rotary_pct": 0.67},  # 4 of 6 values a head
    "roberta": {"max_position_embeddings": 22},  # of which 20 serve text
    "xlm-roberta": {"max_position_embeddings": 22},
    "vit": {"image_size": 12, "patch_size": 4, "num_channels": 3},  # 9 patches of 48 pixels
    "vit-classifier": {"image_size": [8, 12], "patch_size": 4, "num_channels": 2, "num_labels": 7},
}


def random_model(family: str, **fields: Any) -> Any:
    """A small transformers model whose weights are large enough for faults to show."""
    config_class, model_class = CLASSES[family]
    width = {WIDTH.get(family, "intermediate_size"): 40}
    torch.manual_seed(7)
    model = model_class(config_class(**(SMALL | width | OWN.get(family, {}) | fields)))
    with torch.no_grad():  # transformers' own start is so small that faults would hide
        for name, weight in model.named_parameters():
            spread = 1.0 if "norm" not in name.lower() else 0.3
            weight.mul_(8.0).add_(torch.randn_like(weight) * 0.1 * spread)
    return model

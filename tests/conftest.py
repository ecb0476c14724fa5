"""What every test starts from: no network, no chance, tiny random models of every family."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

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

torch.set_num_threads(1)

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

SaveModel = Callable[..., Path]


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


@pytest.fixture
def save_model(tmp_path: Path) -> SaveModel:
    """save_model(family, dtype=..., shard=..., **config fields) -> folder of a random model."""

    def save(
        family: str, dtype: torch.dtype = torch.float32, shard: str = "5GB", **fields: Any
    ) -> Path:
        model, folder = random_model(family, **fields), tmp_path / family
        model.to(dtype).save_pretrained(folder, safe_serialization=True, max_shard_size=shard)
        return folder

    return save


@pytest.fixture
def tokens() -> np.ndarray:
    """[3, 20]: three sequences as long as SMALL's context."""
    return np.random.default_rng(1).integers(2, 61, (3, 20))


@pytest.fixture
def shared_data() -> Path:
    """The project's evaluation data, where this machine has it."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no ../shared/data on this machine")
    return folder


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., Path]:
    """plan(family, **fields) -> a config.json alone."""

    def write(family: str, **fields: Any) -> Path:
        width = {WIDTH.get(family, "intermediate_size"): 40}
        path = tmp_path / "config.json"
        own = OWN[family] if family in OWN and family != "opt" else {}  # OPT: its hidden_size
        path.write_text(json.dumps({"model_type": family} | SMALL | width | own | fields))
        return path

    return write


@pytest.fixture(autouse=True)
def _same_every_time() -> None:
    """Seed the global generators; tests that draw numbers should still bring their own."""
    random.seed(0)
    np.random.seed(0)

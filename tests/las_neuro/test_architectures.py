"""Every family, drawn and made spiking, gives what transformers gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from switches import CASES, LLAMA3

from las_neuro import Checkpoint
from las_neuro.architectures import draw
from las_neuro.errors import ConfigError, LasError, UnsupportedError
from las_neuro.graph import Graph, Tensor
from las_neuro.reference.interpret import final
from las_neuro.reference.model import FloatModel
from las_neuro.systems.las import spiking

SaveModel = Callable[..., Path]  # the fixture save_model

TOLERANCE = 1e-4  # of the largest value: transformers computes in float32


def difference(folder: Any, tokens: np.ndarray, context: int | None = None) -> float:
    """Largest difference to transformers over its largest value."""
    checkpoint = Checkpoint.open(folder)
    ours = final(spiking(draw(checkpoint, context)), tokens, torch.float64).numpy()
    model = FloatModel.load(checkpoint)
    theirs = model.logits(tokens) if model.causal else model.hidden(tokens)
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


@pytest.mark.parametrize(("family", "fields"), CASES)
def test_spiking_graph_equals_transformers(
    save_model: SaveModel, tokens: np.ndarray, family: str, fields: dict[str, Any]
) -> None:
    assert difference(save_model(family, **fields), tokens) < TOLERANCE


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(
    save_model: SaveModel, tokens: np.ndarray, dtype: torch.dtype
) -> None:
    assert difference(save_model("llama", dtype), tokens) < TOLERANCE


@pytest.mark.parametrize("family", ["llama", "opt", "bert", "gpt_neox", "roberta"])
def test_shards_and_shorter_context(save_model: SaveModel, tokens: np.ndarray, family: str) -> None:
    folder = save_model(family, shard="12KB")
    assert len(Checkpoint.open(folder).files) > 1
    assert difference(folder, tokens[:, :7], context=7) < TOLERANCE


def test_opt_without_gains_is_opt_with_gains_of_one(
    save_model: SaveModel, tokens: np.ndarray
) -> None:
    """transformers 4.57 itself cannot start such a model, though it can load one."""
    folder = save_model("opt")
    weights = load_file(folder / "model.safetensors")
    for name in weights:
        if "layer_norm" in name:
            weights[name] = torch.full_like(weights[name], float(name.endswith("weight")))
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    expected = final(spiking(draw(Checkpoint.open(folder))), tokens)
    config = json.loads((folder / "config.json").read_text())
    config["layer_norm_elementwise_affine"] = False
    (folder / "config.json").write_text(json.dumps(config))
    torch.testing.assert_close(final(spiking(draw(Checkpoint.open(folder))), tokens), expected)


PREFIXED = {
    "bert.": ("bert", "", "bert."),
    "gamma": ("bert", "LayerNorm.weight", "LayerNorm.gamma"),
    "decoder.": ("opt", "model.decoder.", "decoder."),
    "no_prefix": ("llama", "model.", ""),
    "roberta.": ("roberta", "", "roberta."),
    "distilbert.": ("distilbert", "", "distilbert."),
    "no_gpt_neox": ("gpt_neox", "gpt_neox.", ""),
}


@pytest.mark.parametrize("case", PREFIXED)
def test_historical_tensor_names(save_model: SaveModel, tokens: np.ndarray, case: str) -> None:
    family, old, new = PREFIXED[case]
    folder = save_model(family, tie_word_embeddings=True)
    expected = final(spiking(draw(Checkpoint.open(folder))), tokens)
    weights = load_file(folder / "model.safetensors")
    renamed = {name.replace(old, new, 1) if old else new + name: w for name, w in weights.items()}
    assert renamed.keys() != weights.keys()
    save_file(renamed, folder / "model.safetensors", {"format": "pt"})
    torch.testing.assert_close(final(spiking(draw(Checkpoint.open(folder))), tokens), expected)


def test_partial_rotary_turns_only_its_part(tokens: np.ndarray) -> None:
    """Heads of 6 values of which 4 turn: against complex multiplication."""
    random = np.random.default_rng(3)
    table = random.normal(size=(61, 12)).astype(np.float32)
    angle = random.normal(size=(20, 2)).astype(np.float32)
    both = np.concatenate([angle, angle], axis=1)
    g = Graph("test", 20, 61, causal=True)
    x = g.embed("x", Tensor.of("table", table))
    cos, sin = Tensor.of("rotary.cos", np.cos(both)), Tensor.of("rotary.sin", np.sin(both))
    g.output(g.rotate("rotary", x, cos, sin, heads=2), "hidden")
    ours = final(spiking(g), tokens, torch.float64).numpy()
    heads = table[tokens].reshape(3, 20, 2, 6).astype(np.float64)
    turned = (heads[..., 0:2] + 1j * heads[..., 2:4]) * np.exp(1j * angle[None, :, None])
    expected = np.concatenate([turned.real, turned.imag, heads[..., 4:]], axis=-1)
    np.testing.assert_allclose(ours, expected.reshape(3, 20, 12), rtol=1e-5, atol=1e-6)


def test_rotary_fields_under_their_later_name(plan: Any) -> None:
    """`rope_parameters` says all that `rotary_pct`, `rotary_emb_base` and `rope_scaling` say."""
    drawn = []
    linear = {"rope_type": "linear", "factor": 3.0}
    for fields in (
        {"rotary_pct": 1.0, "rotary_emb_base": 50, "rope_scaling": linear},
        {"rope_parameters": linear | {"partial_rotary_factor": 1.0, "rope_theta": 50.0}},
    ):
        graph = draw(Checkpoint.from_config(plan("gpt_neox", **fields)))
        drawn.append(graph["layers.0.attention.query_rotary"].weights["sin"].load())
    assert drawn[0].shape == (20, 6)
    np.testing.assert_array_equal(*drawn)


def test_weights_under_another_file_name(save_model: SaveModel, tokens: np.ndarray) -> None:
    folder = save_model("opt")
    (folder / "model.safetensors").rename(folder / "mine.safetensors")
    assert difference(folder / "mine.safetensors", tokens) < TOLERANCE


@pytest.mark.parametrize(
    ("family", "fields", "error"),
    [
        ("llama", {"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, UnsupportedError),
        ("llama", {"hidden_act": "mish"}, UnsupportedError),
        ("llama", {"partial_rotary_factor": 0.5}, UnsupportedError),
        ("mistral", {"sliding_window": 0, "num_key_value_heads": 2}, ConfigError),
        ("qwen2", {"use_sliding_window": True, "layer_types": ["full_attention"]}, ConfigError),
        ("llama", {"quantization_config": {"bits": 4}}, UnsupportedError),
        ("llama", {"model_type": "mamba"}, UnsupportedError),
        ("llama", {"model_type": "../llama"}, UnsupportedError),
        ("llama", {"model_type": None}, ConfigError),
        ("llama", {"hidden_size": "24"}, ConfigError),
        ("llama", {"hidden_size": None}, ConfigError),
        ("llama", {"hidden_size": 25}, ConfigError),
        ("llama", {"num_hidden_layers": 10**9}, ConfigError),
        ("llama", {"num_key_value_heads": 3}, ConfigError),
        ("llama", {"rms_norm_eps": float("nan")}, ConfigError),
        ("llama", {"rope_theta": -1.0}, ConfigError),
        ("llama", {"rope_scaling": {"rope_type": "linear"}}, ConfigError),
        ("llama", {"rope_scaling": LLAMA3 | {"high_freq_factor": 1.0}}, ConfigError),
        ("opt", {"num_attention_heads": 5}, ConfigError),
        ("opt", {"activation_function": "mish"}, UnsupportedError),
        ("bert", {"position_embedding_type": "relative_key"}, UnsupportedError),
        ("bert", {"is_decoder": True}, UnsupportedError),
        ("gpt_neox", {"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, UnsupportedError),
        ("gpt_neox", {"rotary_pct": 0.5}, ConfigError),  # 3 of 6 values: no pairs
        ("gpt_neox", {"rotary_pct": 0.0}, ConfigError),
        ("gpt_neox", {"rotary_pct": 1.5}, ConfigError),
        ("gpt_neox", {"rotary_emb_base": 0}, ConfigError),
        ("gpt_neox", {"num_attention_heads": 5}, ConfigError),
        ("gpt_neox", {"hidden_act": "mish"}, UnsupportedError),
        ("roberta", {"position_embedding_type": "relative_key"}, UnsupportedError),
        ("roberta", {"add_cross_attention": True}, UnsupportedError),
        ("roberta", {"pad_token_id": 21}, ConfigError),
        ("roberta", {"pad_token_id": -1}, ConfigError),
        ("distilbert", {"n_heads": 5}, ConfigError),
        ("distilbert", {"activation": "mish"}, UnsupportedError),
    ],
)
def test_config_is_refused_by_name(
    plan: Any, family: str, fields: dict[str, Any], error: type[LasError]
) -> None:
    path = plan(family, **fields)
    with pytest.raises(error) as caught:
        draw(Checkpoint.from_config(path))
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert caught.value.remedy

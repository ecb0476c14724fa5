"""Thousands of tokens on the fast engine and on the float model; prints one line of JSON.

    python benchmarks/long_context.py [--tokens 4096] [--window 0]

A random Llama of stories260K's size (5 layers, 64 wide, 8 heads, 4 key-value heads) reads random
tokens; with a window it is a Mistral.  Accuracy is against transformers in float64.  Plans of
Llama-2-7B and Mistral-7B with twice as many tokens show what a context of that length needs.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from safetensors.numpy import save_file

from compiler.convert import convert, plan_graph
from compiler.mapping.plan import plan
from compiler.pipeline import build
from hwsim.backends.fast.engine import Engine
from hwsim.measure.evaluate import log_softmax
from las_neuro.checkpoint import Checkpoint
from las_neuro.reference.model import FloatModel

ROOT = Path(__file__).parents[1]
Row = dict[str, Any]
STORIES: Row = {
    "hidden_size": 64,
    "intermediate_size": 172,
    "num_hidden_layers": 5,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "vocab_size": 512,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
}
MISTRAL: Row = {
    "model_type": "mistral",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 32000,
    "sliding_window": 4096,
}


def main(tokens: int = 4096, window: int = 0) -> None:
    """Measure and print."""
    row = measure(tokens, window or None)
    row["plans"] = plans(2 * tokens)
    print(json.dumps(row))


def measure(tokens: int = 4096, window: int | None = None) -> Row:
    """Time, memory and accuracy of a random model on that many tokens."""
    with tempfile.TemporaryDirectory() as directory:
        folder = save_model(Path(directory), tokens, window)
        net = build(convert(folder)[1])
        model = FloatModel.load(Checkpoint.open(folder))
        engine = Engine(net, count=False)
    ids = np.random.default_rng(5).integers(0, net.vocabulary, (1, tokens))
    engine.run(ids[:, :8])
    engine.reset()
    before = megabytes()
    started = time.perf_counter()
    ours = engine.run(ids)[0].numpy() * net.populations[net.output].unit
    seconds, peak = time.perf_counter() - started, megabytes()
    model.logits(ids[:, :8])
    started = time.perf_counter()
    model.logits(ids)
    reference_seconds = time.perf_counter() - started
    model.module.double()
    kl, top1 = closeness(ours, model.logits(ids)[0])
    counts = engine.counters.populations.values()
    return {
        "tokens": tokens,
        "window": window,
        "seconds": seconds,
        "reference_seconds": reference_seconds,
        "ratio": seconds / reference_seconds,
        "peak_mb": peak,
        "run_mb": peak - before,
        "kl": kl,
        "top1": top1,
        "clamps": sum(count.clamps for count in counts),
        "wraps": sum(count.wraps for count in counts),
        "ns_a_score": seconds / scores(tokens, window) * 1e9,
        "threads": torch.get_num_threads(),
    }


def save_model(folder: Path, tokens: int, window: int | None) -> Path:
    """Random weights scaled like trained ones: each map's output is about as large as its input."""
    family = {"model_type": "mistral", "sliding_window": window} if window else {}
    config = STORIES | {"model_type": "llama", "max_position_embeddings": tokens} | family
    (folder / "config.json").write_text(json.dumps(config))
    random = np.random.default_rng(0)

    def weight(n_post: int, n_pre: int, gain: float = 1.0) -> NDArray[np.float32]:
        scale = gain / np.sqrt(n_pre)
        return (random.standard_normal((n_post, n_pre)) * scale).astype(np.float32)

    d, ff, words = 64, 172, 512
    weights = {
        "model.embed_tokens.weight": weight(words, d, 8.0),
        "lm_head.weight": weight(words, d, 2.0),
        "model.norm.weight": np.ones(d, np.float32),
    }
    for layer in range(5):
        at = f"model.layers.{layer}"
        for name, n_post in {"q": 64, "k": 32, "v": 32, "o": 64}.items():
            gain = 1.5 if name in "qk" else 1.0
            weights[f"{at}.self_attn.{name}_proj.weight"] = weight(n_post, d, gain)
        for name, shape in {"gate": (ff, d), "up": (ff, d), "down": (d, ff)}.items():
            weights[f"{at}.mlp.{name}_proj.weight"] = weight(*shape)
        for name in ("input", "post_attention"):
            gains = 1 + 0.1 * random.standard_normal(d)
            weights[f"{at}.{name}_layernorm.weight"] = gains.astype(np.float32)
    save_file(weights, folder / "model.safetensors")
    return folder


def scores(tokens: int, window: int | None) -> int:
    """Number of attention scores: one per token, head, layer and token that it attends to."""
    counts = np.minimum(np.arange(1, tokens + 1), window or tokens)
    return int(counts.sum()) * STORIES["num_attention_heads"] * STORIES["num_hidden_layers"]


def closeness(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> tuple[float, float]:
    """Mean KL divergence from the float model, and the share of equal top-1 tokens."""
    true, mine = (log_softmax(np.asarray(x, np.float64)) for x in (theirs, ours))
    kl = (np.exp(true) * (true - mine)).sum(1).mean()
    return float(kl), float((true.argmax(1) == mine.argmax(1)).mean())


def megabytes() -> float:
    """The largest memory of the process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def plans(context: int) -> dict[str, Row]:
    """What chips need for a long context, planned from shapes alone."""
    llama = json.loads((ROOT / "benchmarks/configs/llama-2-7b/config.json").read_text())
    return {
        name: planned(config | {"max_position_embeddings": context})
        for name, config in {"llama-2-7b": llama, "mistral-7b": MISTRAL}.items()
    }


def planned(config: Row) -> Row:
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(config))
        needs = plan(build(plan_graph(path), weights=False))
    assert needs.latency is not None
    return {
        "context": config["max_position_embeddings"],
        "written": needs.written,
        "written_cores": needs.written_cores,
        "cores": needs.cores,
        "latency_us": needs.latency.total_us,
        "seconds": time.perf_counter() - started,
    }


if __name__ == "__main__":
    typer.run(main)

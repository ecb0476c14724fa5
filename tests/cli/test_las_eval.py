from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from compiler.netlist.hdf5 import load
from hwsim.evaluate import evaluate, read_sequences


def test_a_decoder_beside_its_model(las, netlist: Path, decoder: Path, text: Path) -> None:
    done = las("las-eval", netlist, "--text", text, "--reference", decoder, "--json")
    assert (done.code, done.err) == (0, "")
    made = json.loads(done.out)
    assert set(made) == {
        "tokens", "perplexity", "reference_perplexity", "top1_agreement", "mean_kl",
        "seconds", "reference_seconds",
    }  # fmt: skip
    letters = len(text.read_text())
    assert made["tokens"] == letters - -(-letters // 24)
    assert made["perplexity"] == pytest.approx(made["reference_perplexity"], rel=0.02)
    assert made["top1_agreement"] > 0.95
    assert 0 <= made["mean_kl"] < 0.01


def test_the_reference_perplexity_is_torch_s(netlist: Path, decoder: Path, text: Path) -> None:
    """As ../shared/data/tools/ppl.py computes it."""
    import torch
    from transformers import AutoModelForCausalLM

    from las_neuro.checkpoint import Checkpoint
    from las_neuro.reference.model import FloatModel

    net = load(netlist)
    windows = read_sequences(net, text, 100)
    assert [len(window) for window in windows] == [24, 24, 24, 24, 4]
    made = evaluate(net, windows, FloatModel.load(Checkpoint.open(decoder)).logits)
    model = AutoModelForCausalLM.from_pretrained(decoder).eval()
    surprise, scored = 0.0, 0
    for ids in windows:
        with torch.no_grad():
            logits = model(torch.tensor([ids[:-1]])).logits[0].double()
        goal = torch.tensor(ids[1:])
        surprise += torch.nn.functional.cross_entropy(logits, goal, reduction="sum").item()
        scored += len(ids) - 1
    assert made["tokens"] == scored
    assert made["reference_perplexity"] == pytest.approx(np.exp(surprise / scored), rel=1e-6)


def test_a_decoder_alone(las_process, netlist: Path, text: Path) -> None:
    done = las_process("las-eval", netlist, "--text", text, "--max-tokens", "50")
    assert (done.code, done.err) == (0, "")
    assert "perplexity" in done.out
    assert "reference" not in done.out


def test_an_encoder_beside_its_model(
    las, encoder_netlist: Path, encoder: Path, lines: Path
) -> None:
    done = las("las-eval", encoder_netlist, "--text", lines, "--reference", encoder, "--json")
    assert (done.code, done.err) == (0, "")
    made = json.loads(done.out)
    assert set(made) == {
        "sentences", "tokens", "mean_cosine_error", "max_similarity_error",
        "seconds", "reference_seconds",
    }  # fmt: skip
    assert made["sentences"] == 4
    assert made["tokens"] == sum(len(line) + 2 for line in lines.read_text().split("\n") if line)
    assert 0 <= made["mean_cosine_error"] < 0.01
    assert 0 <= made["max_similarity_error"] < 0.05


def test_an_encoder_alone_and_cut_short(las, encoder_netlist: Path, lines: Path) -> None:
    done = las("las-eval", encoder_netlist, "--text", lines, "--max-tokens", "20", "--json")
    assert (done.code, done.err) == (0, "")
    made = json.loads(done.out)
    assert made["sentences"] == 2
    assert set(made) == {"sentences", "tokens", "seconds"}


def test_another_model_is_no_reference(las, netlist: Path, encoder: Path, text: Path) -> None:
    done = las("las-eval", netlist, "--text", text, "--reference", encoder)
    assert done.code == 2
    assert "name the model that the netlist was compiled from" in done.err


def test_the_published_figure_of_a_trained_model(tmp_path: Path) -> None:
    """fp32 perplexity of ../shared/data/README.md, from this command's own reference."""
    from compiler import compile
    from las_neuro.checkpoint import Checkpoint
    from las_neuro.reference.model import FloatModel

    data = Path(__file__).parents[3] / "shared" / "data"
    if not data.is_dir():
        pytest.skip("no ../shared/data on this machine")
    sample = data / "texts" / "tinystories_v2_sample.txt"
    net = compile(data / "stories260K" / "hf", calibrate=sample)
    reference = FloatModel.load(Checkpoint.open(data / "stories260K" / "hf")).logits
    made = evaluate(net, read_sequences(net, sample, 4096), reference)
    assert made["tokens"] == 1878
    assert made["reference_perplexity"] == pytest.approx(6.21312, abs=1e-5)
    assert made["perplexity"] == pytest.approx(made["reference_perplexity"], rel=0.01)

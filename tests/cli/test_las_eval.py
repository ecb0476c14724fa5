from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from compiler.netlist.hdf5 import load
from hwsim.measure.evaluate import evaluate, read_passages, read_sequences


def test_a_decoder_beside_its_model(las, netlist: Path, decoder: Path, text: Path) -> None:
    done = las("las-eval", netlist, "--text", text, "--reference", decoder, "--json")
    assert (done.code, done.err) == (0, "")
    made = json.loads(done.out)
    assert set(made) == {
        "tokens", "bytes", "perplexity", "nats_per_token", "bits_per_byte",
        "reference_perplexity", "reference_nats_per_token", "reference_bits_per_byte",
        "top1_agreement", "mean_kl", "seconds", "reference_seconds",
    }  # fmt: skip
    letters = len(text.read_text())
    assert made["tokens"] == made["bytes"] == letters - -(-letters // 24)
    assert made["perplexity"] == pytest.approx(math.exp(made["nats_per_token"]))
    assert made["bits_per_byte"] == pytest.approx(made["nats_per_token"] / math.log(2))
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
    assert "float model" not in done.out


def test_both_models_stand_side_by_side(las, netlist: Path, decoder: Path, text: Path) -> None:
    done = las("las-eval", netlist, "--text", text, "--reference", decoder, "--max-tokens", "50")
    assert done.code == 0
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.out.splitlines()]
    rows = {row[0]: row[1:] for row in rows if row}
    assert "float model" in done.out
    assert rows["tokens"] == ["47", ""]
    assert [float(cell) for cell in rows["bits per byte"]] == pytest.approx([4, 4], abs=2)


@pytest.mark.parametrize(
    "words", [(), ("--text", "t", "--tasks", "t"), ("--text", "t", "--images", "i")]
)
def test_one_thing_to_measure(las, netlist: Path, words: tuple[str, ...]) -> None:
    done = las("las-eval", netlist, *words, "--quiet")
    assert (done.code, done.out) == (2, "")
    assert "one of the three is needed" in done.err


def test_lines_are_sequences_between_start_tokens(
    las, netlist: Path, decoder: Path, lines: Path
) -> None:
    """As ../shared/data/tools/ppl.py --lines computes it; a line break is the end token's byte."""
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM

    done = las("las-eval", netlist, "--text", lines, "--lines", "--reference", decoder, "--json")
    assert (done.code, done.err) == (0, "")
    made = json.loads(done.out)
    model = AutoModelForCausalLM.from_pretrained(decoder).eval()
    letters = Tokenizer.from_file(str(decoder / "tokenizer.json"))
    surprise = 0.0
    for line in lines.read_text().splitlines():
        ids = [0, *letters.encode(line, add_special_tokens=False).ids, 0]
        with torch.no_grad():
            logits = model(torch.tensor([ids[:-1]])).logits[0].double()
        goal = torch.tensor(ids[1:])
        surprise += torch.nn.functional.cross_entropy(logits, goal, reduction="sum").item()
    size = lines.stat().st_size
    assert made["tokens"] == made["bytes"] == size
    assert made["reference_nats_per_token"] == pytest.approx(surprise / size, rel=1e-6)
    assert made["reference_bits_per_byte"] == pytest.approx(surprise / size / math.log(2))


def test_a_line_longer_than_the_context_is_named(las, netlist: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("the cat\n" + "a" * 24 + "\n")
    done = las("las-eval", netlist, "--text", path, "--lines")
    assert done.code == 2
    assert "line 2 has 25 tokens, the netlist's context is 24" in done.err


def test_a_character_counts_for_one_token(netlist: Path, tmp_path: Path) -> None:
    """Letters of two and of three bytes; the first token of each window is not scored."""
    path = tmp_path / "wide.txt"
    path.write_text("é" * 24 + "€" * 3, encoding="utf-8")
    found = read_passages(load(netlist), path, 100)
    assert [(len(one.ids), one.size) for one in found] == [(24, 46), (3, 6)]


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


def test_the_published_figure_of_names(shared_data: Path) -> None:
    """fp32 perplexity by lines of ../shared/data/README.md."""
    from compiler import compile
    from las_neuro.checkpoint import Checkpoint
    from las_neuro.reference.model import FloatModel

    model, names = shared_data / "makemore_names" / "hf", shared_data / "texts/names_test_even.txt"
    net = compile(model, calibrate=names)
    passages = read_passages(net, names, 4096, lines=True)
    reference = FloatModel.load(Checkpoint.open(model)).logits
    size = sum(one.size for one in passages)
    made = evaluate(net, [one.ids for one in passages], reference, text_bytes=size)
    assert (made["tokens"], made["bytes"]) == (3559, names.stat().st_size)
    assert made["reference_perplexity"] == pytest.approx(7.21071, abs=1e-5)
    assert made["reference_nats_per_token"] == pytest.approx(1.975568, abs=1e-6)
    assert made["perplexity"] == pytest.approx(made["reference_perplexity"], rel=0.01)


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

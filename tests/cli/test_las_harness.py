"""lm-evaluation-harness itself, offline, on a compiled model; its figures equal las-eval's."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from compiler.netlist.hdf5 import load
from hwsim.measure.evaluate import evaluate, outputs, read_passages
from hwsim.measure.tasks import read_items, score

os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
pytest.importorskip("lm_eval")
pytestmark = pytest.mark.filterwarnings("ignore:::(lm_eval|datasets|dill|multiprocess|fsspec).*")

CHOICES = [
    {"context": "the cat sat on", "choices": ["the mat", "a dog and a cat"], "gold": 0},
    {"context": "the dog ran to", "choices": ["the cat", "éé", "mat, mat"], "gold": 1},
    {"context": "the cat ran from the dog,", "choices": ["a", "b", "c", "d"], "gold": 2},
    {"context": "a", "choices": ["mat", "the dog ran"], "gold": 1},
]
LINES = ["the cat", "a dog ran.", "mat"]
MEASURES = {"multiple_choice": ["acc", "acc_norm", "acc_bytes"], "loglikelihood": ["perplexity"]}
ROLLING = ["word_perplexity", "byte_perplexity", "bits_per_byte"]

Task = Callable[..., None]


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """task(output type, records, field=template...) writes a task of the harness's own format."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")

    def write(kind: str, records: list[Any], **fields: Any) -> None:
        data = tmp_path / f"{kind}.jsonl"
        data.write_text("".join(json.dumps(record) + "\n" for record in records))
        measures = MEASURES.get(kind, ROLLING if "rolling" in kind else ["exact_match"])
        written = {
            "task": f"las_{kind}",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(data)}},
            "test_split": "test",
            "output_type": kind,
            "metric_list": [{"metric": name} for name in measures],
        }
        (tmp_path / f"{kind}.yaml").write_text(json.dumps(written | fields))  # JSON is YAML

    return write


@pytest.fixture
def harness(tmp_path: Path, netlist: Path) -> Callable[[str], dict[str, Any]]:
    """harness(task) -> the results of lm_eval.simple_evaluate."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    import hwsim.measure.harness  # noqa: F401  registers the model

    def run(kind: str) -> dict[str, Any]:
        made = simple_evaluate(
            model="las",
            model_args=f"netlist={netlist}",
            tasks=[f"las_{kind}"],
            task_manager=TaskManager(include_path=str(tmp_path), include_defaults=False),
            log_samples=True,
            bootstrap_iters=2,
        )
        return made["results"][f"las_{kind}"] | {"samples": made["samples"][f"las_{kind}"]}

    return run


def test_multiple_choice_is_ours(task: Task, harness, netlist: Path, tmp_path: Path) -> None:
    target = {"doc_to_text": "{{context}}", "doc_to_choice": "{{choices}}", "doc_to_target": "gold"}
    task("multiple_choice", CHOICES, **target)
    theirs = harness("multiple_choice")
    net = load(netlist)
    items = read_items(net, tmp_path / "multiple_choice.jsonl")
    ours = score(net, items)
    assert ours["items"] == len(theirs["samples"]) == 4
    for name in MEASURES["multiple_choice"]:
        assert theirs[f"{name},none"] == ours[name]
        assert theirs[f"{name}_stderr,none"] == pytest.approx(ours[f"{name}_stderr"], abs=1e-9)
    told = [tuple(answer[0]) for one in theirs["samples"] for answer in one["resps"]]
    from hwsim.measure.likelihood import likelihoods

    assert told == likelihoods(outputs(net), [pair for item in items for pair in item.pairs], net)


def test_perplexity_is_ours(task: Task, harness, netlist: Path, tmp_path: Path) -> None:
    """The harness's perplexity is of whole lines, ours of tokens: the same sum of ln p."""
    task(
        "loglikelihood",
        [{"line": line} for line in LINES],
        doc_to_text="",
        doc_to_target="{{line}}<s>",
        target_delimiter="",
    )
    theirs = harness("loglikelihood")["perplexity,none"]
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(LINES) + "\n")
    net = load(netlist)
    passages = read_passages(net, path, 1000, lines=True)
    ours = evaluate(net, [one.ids for one in passages], text_bytes=path.stat().st_size)
    nats = ours["nats_per_token"] * ours["tokens"]
    assert math.log(theirs) * len(LINES) == pytest.approx(nats, rel=1e-9)
    assert ours["bits_per_byte"] == pytest.approx(nats / math.log(2) / 23, rel=1e-12)


def test_whole_texts_in_rolling_windows(task: Task, harness, netlist: Path) -> None:
    """A text of 60 letters in a context of 24: every token once, the last window full."""
    text = "the cat sat on the mat. the dog ran to the cat, and the cat."
    task("loglikelihood_rolling", [{"text": text}], doc_to_text="", doc_to_target="{{text}}")
    made = harness("loglikelihood_rolling")
    net = load(netlist)
    from hwsim.measure.text_tokens import TextTokens

    ids, run = TextTokens(net).encode(text), outputs(net)
    nats, size = 0.0, len(text)
    for first, last in ((0, 24), (24, 48), (48, len(ids))):
        read = [0, *ids][max(0, last - 24) : last]
        scores = run(np.array([read]))[0]
        scores = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
        nats += sum(scores[len(read) - last + i, ids[i]] for i in range(first, last))
    assert made["bits_per_byte,none"] == pytest.approx(-nats / size / math.log(2), rel=1e-9)
    assert made["byte_perplexity,none"] == pytest.approx(math.exp(-nats / size), rel=1e-9)


def test_generation_is_las_run_s(task: Task, harness, netlist: Path) -> None:
    settings = {"until": ["zzz"], "max_gen_toks": 12}
    whole = hwsim.run(netlist, "the cat", max_new_tokens=12).text
    assert whole
    records = [{"text": "the cat"}, {"text": "a dog and a cat, the mat"}]
    target = {"doc_to_text": "{{text}}", "doc_to_target": "{{text}}"}
    task("generate_until", records, **target, generation_kwargs=settings)
    found = [one["resps"][0][0] for one in harness("generate_until")["samples"]]
    shorter = hwsim.run(netlist, tokens=[0, *_letters(netlist, records[1]["text"])][-12:])
    assert found == [whole, shorter.text[:12]]
    stop = whole[5:7]
    task("generate_until", records, **target, generation_kwargs=settings | {"until": [stop]})
    found = [one["resps"][0][0] for one in harness("generate_until")["samples"]]
    assert found[0] == whole[: whole.index(stop)]


def _letters(netlist: Path, text: str) -> list[int]:
    from hwsim.measure.text_tokens import TextTokens

    return TextTokens(load(netlist)).encode(text, special=False)


def test_settings_it_does_not_know_are_refused(netlist: Path, encoder_netlist: Path) -> None:
    from lm_eval.api.instance import Instance

    from hwsim.measure.harness import NetlistLM
    from las_neuro.errors import ConfigError, UnsupportedError

    model = NetlistLM(netlist)

    def ask(**settings: Any) -> list[str]:
        given = Instance("generate_until", {}, ("the cat", settings), 0)
        return model.generate_until([given], disable_tqdm=True)

    with pytest.raises(UnsupportedError, match="num_beams"):
        ask(num_beams=4, max_gen_toks=4)
    with pytest.raises(UnsupportedError, match="top_p"):
        ask(do_sample=True, temperature=1.0, top_p=0.5, max_gen_toks=4)
    with pytest.raises(ConfigError, match="leave no context"):
        ask()
    drawn = [ask(do_sample=True, temperature=9.0, max_gen_toks=12)[0] for _ in range(4)]
    assert len(set(drawn)) > 1
    with pytest.raises(ConfigError, match="no netlist"):
        NetlistLM()
    with pytest.raises(UnsupportedError, match="no likelihood"):
        NetlistLM(encoder_netlist)


@pytest.mark.slow  # the harness reads the names of all its tasks
def test_the_command(task: Task, las_process, netlist: Path, tmp_path: Path) -> None:
    target = {"doc_to_text": "{{context}}", "doc_to_choice": "{{choices}}", "doc_to_target": "gold"}
    task("multiple_choice", CHOICES, **target)
    words = ("--tasks", "las_multiple_choice", "--include_path", tmp_path)
    done = las_process(
        "las-harness", "--model", "las", "--model_args", f"netlist={netlist}", *words
    )
    assert done.code == 0, done.err
    assert "|las_multiple_choice|" in done.out
    assert "acc_norm" in done.out

"""Multiple choice: against transformers' own logits, choice by choice, and what a bad file says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from compiler.netlist.hdf5 import load
from hwsim.measure.evaluate import outputs
from hwsim.measure.likelihood import Likelihood, likelihoods
from hwsim.measure.tasks import read_items, score
from hwsim.measure.text_tokens import Pair, TextTokens
from las_neuro.errors import PromptError

QUESTIONS = [
    {"context": "the cat sat on", "choices": ["the mat", "a dog and a cat"], "gold": 0},
    {"context": "the dog ran to ", "choices": ["the cat", "éé", "mat, mat"], "gold": 1},
    {"query": "a dog", "choices": {"A": "ran", "B": "sat"}, "answer": "B", "id": 7},
    {"question": "the cat ran from the dog,", "choices": ["a", "b", "c", "d"], "label": "C"},
    {"context": "", "choices": ["cat", "the dog ran"], "gold": 1},
]


def write(path: Path, records: list[object]) -> Path:
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    path.write_text("\n\n".join(map(str, lines)) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    return write(tmp_path / "questions.jsonl", list(QUESTIONS))


def texts(record: dict) -> tuple[str, list[str]]:
    context = next(record[name] for name in ("context", "query", "question") if name in record)
    choices = record["choices"]
    return context, list(choices.values()) if isinstance(choices, dict) else choices


def test_the_float_model_s_choices_are_transformers(
    las, netlist: Path, decoder: Path, questions: Path
) -> None:
    """Written out a second time, from texts to accuracies, one continuation after the other."""
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM

    letters = Tokenizer.from_file(str(decoder / "tokenizer.json"))
    model = AutoModelForCausalLM.from_pretrained(decoder).eval()
    hits, cut = [], 0
    for record, right in zip(QUESTIONS, [0, 1, 1, 2, 1], strict=True):
        context, choices = texts(record)
        nats, longest = [], 0
        for choice in choices:
            whole = letters.encode(f"{context} {choice}").ids
            scored = len(whole) - len(letters.encode(context.rstrip()).ids)
            longest = max(longest, len(whole))
            read = whole[-25:]
            with torch.no_grad():
                rows = torch.log_softmax(model(torch.tensor([read[:-1]])).logits[0].double(), -1)
            picked = rows[torch.arange(len(read) - 1), torch.tensor(read[1:])]
            nats.append(picked[-scored:].sum().item())
        cut += longest > 25  # the context and one token to predict
        sizes = [1, [len(one) for one in choices], [len(one.encode()) for one in choices]]
        hits.append([np.argmax(np.array(nats) / size) == right for size in sizes])
    made = json.loads(
        las("las-eval", netlist, "--tasks", questions, "--reference", decoder, "--json").out
    )
    means = np.mean(hits, axis=0)
    errors = np.std(hits, axis=0, ddof=1) / 5**0.5
    for name, mean, error in zip(("acc", "acc_norm", "acc_bytes"), means, errors, strict=True):
        assert made[f"reference_{name}"] == mean
        assert made[f"reference_{name}_stderr"] == pytest.approx(error)
    assert (made["items"], made["choices"]) == (5, 13)
    assert made["truncated"] == cut == 2
    assert (made["agreement"], made["agreement_norm"]) == (1, 1)
    assert made["acc"] == made["reference_acc"]


def test_a_table_for_people(las, netlist: Path, questions: Path) -> None:
    done = las("las-eval", netlist, "--tasks", questions)
    assert (done.code, done.err) == (0, "")
    assert "±" in done.out
    assert "acc norm" in done.out
    assert "float model" not in done.out


def test_one_question_has_no_standard_error(las, netlist: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "one.jsonl", [QUESTIONS[0]])
    made = json.loads(las("las-eval", netlist, "--tasks", path, "--json").out)
    assert made["acc_stderr"] is None


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "Invalid JSON"),
        ("[1]", "is not a JSON object"),
        ({"choices": ["a", "b"], "gold": 0}, "context: Field required"),
        ({"context": "a", "gold": 0}, "choices: Field required"),
        ({"context": "a", "choices": ["b"], "gold": 0}, "choices: two or more"),
        ({"context": "a", "choices": ["b", ""], "gold": 0}, "choices: two or more"),
        ({"context": "a", "choices": ["b", 1], "gold": 0}, "choices: Input should be a valid"),
        ({"context": "a", "choices": ["b", "c"], "gold": 2}, "gold 2 is none of the 2 choices"),
        ({"context": "a", "choices": ["b", "c"], "gold": -1}, "gold -1 is none of the 2 choices"),
        ({"context": "a", "choices": ["b", "c"], "gold": "C"}, "gold 'C' is none of the 2 choices"),
        ({"context": "a", "choices": ["b", "c"], "gold": True}, "gold: Input should be a valid"),
        ('{"context": "\\ud800", "choices": ["b", "c"], "gold": 0}', "Invalid JSON"),
        ({"context": "a", "choices": ["b", "c" * 30], "gold": 0}, "choice 1: the continuation has"),
    ],
)
def test_a_bad_line_is_named(las, netlist: Path, tmp_path: Path, line: object, fault: str) -> None:
    path = write(tmp_path / "bad.jsonl", [QUESTIONS[0], line])
    done = las("las-eval", netlist, "--tasks", path)
    assert (done.code, done.out) == (2, "")
    assert f"error: {path}: line 3: {fault}" in done.err
    assert done.err.count("\n") == 1


def test_an_encoder_answers_no_questions(las, encoder_netlist: Path, questions: Path) -> None:
    done = las("las-eval", encoder_netlist, "--tasks", questions)
    assert (done.code, done.out) == (2, "")
    assert "gives hidden, no likelihood of a text" in done.err


def test_lines_are_for_texts(las, netlist: Path, questions: Path) -> None:
    done = las("las-eval", netlist, "--tasks", questions, "--lines")
    assert (done.code, done.out) == (2, "")
    assert "--lines" in done.err


def test_a_context_ends_where_its_own_tokens_end(netlist: Path) -> None:
    text = TextTokens(load(netlist))
    a, b, space = text.encode("ab ", special=False)
    assert text.pair("ab ", "b") == Pair([0, a, b], [space, b])
    assert text.pair("<s>a", " b") == Pair([0, a], [space, b])
    assert text.pair("", "ab") == Pair([0], [a, b])
    assert text.pair("", "<s>b") == Pair([0], [b])


def test_equal_inputs_run_once_and_batches_change_nothing(netlist: Path) -> None:
    net = load(netlist)
    run, fed = outputs(net), []

    def watched(tokens):
        fed.append(tokens.tolist())
        return run(tokens)

    pairs = [Pair([0, 5], [token]) for token in range(4)] + [Pair([0], [5, 9]), Pair([0], [9])]
    together = likelihoods(watched, pairs, net)
    assert fed == [[[0]], [[0, 5]]]
    assert together == [likelihoods(run, [pair], net)[0] for pair in pairs]
    best = int(run(np.array([[0, 5]]))[0, -1].argmax())
    assert likelihoods(run, [Pair([0, 5], [best])], net)[0].greedy
    assert isinstance(together[0], Likelihood)
    assert sum(np.exp(likelihoods(run, [Pair([0, 5], [t]) for t in range(32)], net))[:, 0]) == (
        pytest.approx(1)
    )


def test_real_questions(shared_data: Path) -> None:
    """The three files' own spellings; a trained model's choices survive compilation."""
    from compiler import compile
    from las_neuro.checkpoint import Checkpoint
    from las_neuro.reference.model import FloatModel

    model, files = shared_data / "stories260K" / "hf", shared_data / "texts"
    net = compile(model, calibrate=files / "tinystories_v2_sample.txt")
    some = read_items(net, files / "arc_easy_test_even.jsonl")
    assert len(some) == 1188
    assert len(read_items(net, files / "hellaswag_sample_a.jsonl")) == 400
    with pytest.raises(PromptError, match=r"piqa.* line 158: choice 0: the continuation has 624"):
        read_items(net, files / "piqa_valid_even.jsonl")
    made = score(net, some[:12], FloatModel.load(Checkpoint.open(model)).logits)
    assert made["agreement"] >= 11 / 12
    assert abs(made["acc"] - made["reference_acc"]) <= 1 / 12

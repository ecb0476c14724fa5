"""tasks: multiple choice and classification, scored by the likelihood of each choice.

Input is a .jsonl file, one object per line:

    context   text (also named query or question)
    choices   two or more texts, as a list or as an object {"A": ..., "B": ...}
    gold      the right one (also named answer or label): its index from 0, or its letter

Other fields are ignored.  Output are the figures of lm-evaluation-harness 0.4.13 for its output
type multiple_choice.  A choice is scored by ln p of one space and its text; the model chooses the
one with the largest ln p (acc), ln p per character (acc_norm), or ln p per UTF-8 byte (acc_bytes).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from pydantic import model_validator as validator

from compiler.netlist.model import Netlist
from hwsim.generate import check_ids
from hwsim.measure.evaluate import Model, Reference, outputs
from hwsim.measure.likelihood import check, likelihoods, too_long
from hwsim.measure.text_tokens import Pair, TextTokens
from las_neuro.errors import CalibrationError, LasError
from las_neuro.files import read_text
from las_neuro.progress import Progress, silent

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FIELDS = 'write {"context": "...", "choices": ["...", "..."], "gold": 0} on each line'
MEASURES = ("acc", "acc_norm", "acc_bytes")


class Record(BaseModel):
    """One line of a task file."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    context: str = Field(validation_alias=AliasChoices("context", "query", "question"))
    choices: list[str] | dict[str, str]
    gold: int | str = Field(validation_alias=AliasChoices("gold", "answer", "label"))

    @validator(mode="after")
    def _gold_is_a_choice(self) -> Record:
        if len(self.choices) < 2 or not all(self.texts):
            raise ValueError("choices: two or more texts are needed, none of them empty")
        if self.right is None:
            raise ValueError(f"gold {self.gold!r} is none of the {len(self.choices)} choices")
        return self

    @property
    def texts(self) -> list[str]:
        return list(self.choices.values() if isinstance(self.choices, dict) else self.choices)

    @property
    def right(self) -> int | None:
        """The index of the right choice."""
        names = list(self.choices if isinstance(self.choices, dict) else LETTERS)
        names = names[: len(self.choices)]
        if isinstance(self.gold, str):
            return names.index(self.gold) if self.gold in names else None
        return self.gold if 0 <= self.gold < len(self.choices) else None


@dataclass(frozen=True)
class Item:
    """A record as tokens: one pair per choice."""

    texts: list[str]
    right: int
    pairs: list[Pair]


def read_items(net: Netlist, path: Path) -> list[Item]:
    """All records of a task file; blank lines are skipped.

    Raises CalibrationError for a line that is not a record, PromptError for one that cannot be
    scored, both with the line's number; UnsupportedError for an encoder.
    """
    encode = TextTokens(net)
    text, _ = read_text(path)
    items = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = Record.model_validate_json(line)
        except ValidationError as error:
            raise CalibrationError(f"{path}: line {number}: {_first(error)}", FIELDS) from error
        pairs = [encode.pair(record.context, f" {choice}") for choice in record.texts]
        for place, pair in enumerate(pairs):
            try:
                check(pair, net.context)
                check_ids(net, [*pair.context, *pair.continuation], "its text")
            except LasError as error:
                what = f"{path}: line {number}: choice {place}: {error.what}"
                raise type(error)(what, error.remedy) from error
        assert record.right is not None
        items.append(Item(record.texts, record.right, pairs))
    return items


def _first(error: ValidationError) -> str:
    """The first fault in a line, named by its field."""
    fault = error.errors(include_url=False)[0]
    if fault["type"] == "model_type":
        return "is not a JSON object"
    message = fault["msg"].removeprefix("Value error, ")
    return f"{fault['loc'][0]}: {message}" if fault["loc"] else message


def score(
    net: Netlist,
    items: Sequence[Item],
    reference: Reference | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Accuracies with standard errors; with a reference also how often both models agree."""
    figures: dict[str, Any] = {
        "items": len(items),
        "choices": sum(len(item.pairs) for item in items),
        "truncated": sum(any(too_long(p, net.context) for p in item.pairs) for item in items),
    }
    mine, seconds = _choices(net, outputs(net), items, "netlist", progress)
    figures |= _accuracies("", mine, items)
    timed = {"seconds": seconds}
    if reference:
        theirs, seconds = _choices(net, reference, items, "float model", progress)
        figures |= _accuracies("reference_", theirs, items)
        figures["agreement"] = float((mine[:, 0] == theirs[:, 0]).mean())
        figures["agreement_norm"] = float((mine[:, 1] == theirs[:, 1]).mean())
        timed["reference_seconds"] = seconds
    return figures | timed


def _choices(
    net: Netlist, model: Model, items: Sequence[Item], stage: str, progress: Progress
) -> tuple[NDArray[np.int64], float]:
    """Indices of the choices of a model by each measure [items, 3], and the seconds it ran."""
    pairs = [pair for item in items for pair in item.pairs]
    started = time.perf_counter()
    scored = likelihoods(model, pairs, net, lambda done, of: progress(stage, done, of))
    seconds = time.perf_counter() - started
    rest = iter(scored)
    choices = []
    for item in items:
        nats = np.array([next(rest).nats for _ in item.pairs])
        characters = np.array([len(text) for text in item.texts], np.float64)
        bytes_ = np.array([len(text.encode()) for text in item.texts], np.float64)
        choices.append([int(x.argmax()) for x in (nats, nats / characters, nats / bytes_)])
    return np.array(choices, np.int64), seconds


def _accuracies(
    model: str, choices: NDArray[np.int64], items: Sequence[Item]
) -> dict[str, float | None]:
    """The share of right choices, and the standard error of that mean."""
    right = np.array([item.right for item in items])
    figures: dict[str, float | None] = {}
    for column, name in enumerate(MEASURES):
        hits = (choices[:, column] == right).astype(np.float64)
        error = float(hits.std(ddof=1)) / math.sqrt(len(hits)) if len(hits) > 1 else None
        figures[f"{model}{name}"] = float(hits.mean())
        figures[f"{model}{name}_stderr"] = error
    return figures

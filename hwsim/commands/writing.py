"""writing: a continuation as it comes, the float model's beside it, two engines checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from compiler.netlist.model import Netlist
from hwsim.generate import Generation, compare, continued_text, tokenizer
from hwsim.measure.evaluate import Reference

BROKEN = "\N{REPLACEMENT CHARACTER}"  # what a decoder shows for a character cut in two


class Writer:
    """Prints the text that each token adds; without a tokenizer, the token ids."""

    def __init__(self, net: Netlist, prompt: Sequence[int], write: Callable[[str], None]) -> None:
        self.write = write
        self.reader = None if net.tokenizer is None else tokenizer(net)
        self.ids = list(prompt)
        self.shown = self._decoded()

    def token(self, token: int) -> None:
        self.ids.append(token)
        if self.reader is None:
            return self.write(f"{token} ")
        text = self._decoded()
        if text.endswith(BROKEN) or not text.startswith(self.shown):
            return None
        self.write(text[len(self.shown) :])
        self.shown = text

    def _decoded(self) -> str:
        return "" if self.reader is None else str(self.reader.decode(self.ids))


def greedy(net: Netlist, reference: Reference, made: Generation, count: int) -> dict[str, Any]:
    """The float model's likeliest continuation, as long as asked for, and where the two part."""
    ends = net.provenance.get("end_tokens", ())
    ids = list(made.prompt)
    while len(ids) - len(made.prompt) < count and len(ids) <= net.context:
        token = int(reference(np.array([ids], np.int64))[0, -1].argmax())
        if token in ends:
            break
        ids.append(token)
    new = ids[len(made.prompt) :]
    return {
        "tokens": new,
        "text": continued_text(net, made.prompt, new),
        "first_difference": first_difference(made.tokens, new),
    }


def first_difference(one: Sequence[int], two: Sequence[int]) -> int | None:
    """The first place at which two lists differ; None if they are equal."""
    for place, (a, b) in enumerate(zip(one, two, strict=False)):
        if a != b:
            return place
    return None if len(one) == len(two) else min(len(one), len(two))


def check(
    net: Netlist, backends: tuple[str, str], made: Generation, most: int, timeout: float
) -> dict[str, Any]:
    """Every spike of the first `most` tokens on both backends."""
    fed = [*made.prompt, *made.tokens][: net.context][:most]
    feeds = [fed[: len(made.prompt)], *([token] for token in fed[len(made.prompt) :])]
    found, spikes = compare(net, backends, feeds, timeout)
    return {
        "backends": list(backends),
        "tokens": len(fed),
        "spikes": spikes,
        "difference": None if found is None else vars(found) | {"text": str(found)},
    }

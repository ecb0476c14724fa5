"""likelihood: the likelihoods that a model gives to continuations of contexts.

Input: pairs of token ids, and a model as a function of tokens [B, S] -> logits [B, S, V].  Output:
for each pair the sum of ln p over its continuation, and whether greedy choice would give it.
As in lm-evaluation-harness 0.4.13 the model reads the context and the continuation without its last
token; where that is too long, tokens are dropped from the left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from compiler.netlist.model import Netlist
from hwsim.measure.evaluate import Floats, Model, batched, log_softmax
from hwsim.measure.text_tokens import Pair
from las_neuro.errors import PromptError


class Likelihood(NamedTuple):
    """ln p of a continuation (nats), and whether each of its tokens is the model's first choice."""

    nats: float
    greedy: bool


def window(pair: Pair, context: int) -> tuple[int, ...]:
    """Tokens that the model reads: at most `context`."""
    return tuple([*pair.context, *pair.continuation][-(context + 1) : -1])


def too_long(pair: Pair, context: int) -> bool:
    return len(pair.context) + len(pair.continuation) > context + 1


def likelihoods(
    model: Model,
    pairs: Sequence[Pair],
    net: Netlist,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> list[Likelihood]:
    """One result per pair, in their order.

    Inputs of equal length run in one batch, equal inputs only once.  progress(done, of).
    Raises PromptError for a pair that cannot be scored, see `check`.
    """
    readers: dict[tuple[int, ...], list[int]] = {}
    for i, pair in enumerate(pairs):
        check(pair, net.context)
        readers.setdefault(window(pair, net.context), []).append(i)
    inputs = list(readers)
    batches = list(batched(inputs, net.vocabulary))
    by_pair: dict[int, Likelihood] = {}
    for done, (which, tokens) in enumerate(batches):
        progress(done, len(batches))
        logits = model(tokens)
        for row, place in enumerate(which):
            pairs_here = readers[inputs[place]]
            longest = max(len(pairs[i].continuation) for i in pairs_here)
            scores = log_softmax(logits[row, -longest:].astype(np.float64))
            for i in pairs_here:
                by_pair[i] = _of(pairs[i].continuation, scores)
    progress(len(batches), len(batches))
    return [by_pair[i] for i in range(len(pairs))]


def _of(continuation: Sequence[int], scores: Floats) -> Likelihood:
    """From ln p [S, V], of which the last rows are the continuation's."""
    right = np.array(continuation, np.int64)
    rows = scores[-len(right) :]
    nats = float(rows[np.arange(len(right)), right].sum())
    return Likelihood(nats, bool((rows.argmax(1) == right).all()))


def check(pair: Pair, context: int) -> None:
    """Raise PromptError where context or continuation is empty or the continuation is too long."""
    if not pair.context or not pair.continuation:
        empty = "continuation" if pair.context else "context"
        raise PromptError(f"the {empty} has no tokens", f"give a {empty} that the tokenizer reads")
    if len(pair.continuation) > context:
        raise PromptError(
            f"the continuation has {len(pair.continuation)} tokens, the netlist's context is"
            f" {context}",
            "shorten it, leave it out, or compile with a larger --context",
        )

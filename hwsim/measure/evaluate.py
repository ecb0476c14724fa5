"""evaluate: the accuracy of a netlist on a text, and how close it is to the float model.

Decoders: the text is one stream, tokenised once without special tokens and cut into windows as long
as the context, which do not overlap; the first token of a window is not scored.  With `lines`, each
line is a sequence between two start tokens, the last of which is scored and stands for the line
break.  Encoders: one sentence per line, with special tokens; embeddings are means over all tokens.

Bits per byte: -log2 p of the scored tokens, divided by the UTF-8 bytes of their text.

Both models get the same batches of sequences of equal length, after one run each that is not timed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.model import Netlist
from hwsim.backends import DEFAULT, find
from hwsim.backends.backend import Session, run_whole
from hwsim.generate import check_ids, tokenizer
from hwsim.measure.text_tokens import TextTokens
from las_neuro.errors import CalibrationError, PromptError
from las_neuro.files import read_text
from las_neuro.progress import Progress, silent
from las_neuro.rows import Tokens

Floats = NDArray[np.float64]
Reference = Callable[[Tokens], NDArray[np.float32]]  # [B, S] -> logits or hidden states [B, S, n]
Model = Callable[[Tokens], NDArray[Any]]  # a netlist's or a reference's

BYTES_PER_TOKEN = 64  # of a text, read at first for each token needed
BATCH_TOKENS = 1024
BATCH_NUMBERS = 1 << 24  # largest logits of one batch


@dataclass(frozen=True)
class Passage:
    """Tokens that are run as one sequence; `size`: UTF-8 bytes of the text of its scored tokens."""

    ids: list[int]
    size: int


@dataclass
class Clock:
    """Seconds that each model has run."""

    netlist: float = 0.0
    reference: float = 0.0


def evaluate(
    net: Netlist,
    sequences: Sequence[Sequence[int]],
    reference: Reference | None = None,
    progress: Progress = silent,
    text_bytes: int | None = None,
) -> dict[str, Any]:
    """Figures of a netlist as plain values, compared with its float model if there is one.

    sequences: token ids; a decoder's last token is only predicted.
    text_bytes: UTF-8 bytes of the text of the scored tokens; None: no bits per byte.
    """
    scored = net.output_kind == "logits"
    inputs = [ids[:-1] for ids in sequences] if scored else sequences
    batches = list(batched(inputs, net.populations[net.output].n))
    run = outputs(net)
    warm = batches[0][1][:1, :2]
    run(warm)
    if reference:
        reference(warm)
    clock = Clock()

    def runs() -> Iterator[tuple[list[int], Floats, Floats | None]]:
        """Indices of a batch's sequences, and both models' outputs [B, S, n] for them."""
        for done, (which, tokens) in enumerate(batches):
            progress("evaluate", done, len(batches))
            started = time.perf_counter()
            mine = run(tokens)
            clock.netlist += time.perf_counter() - started
            theirs = None
            if reference:
                started = time.perf_counter()
                theirs = reference(tokens).astype(np.float64)
                clock.reference += time.perf_counter() - started
            yield which, mine, theirs
        progress("evaluate", len(batches), len(batches))

    if scored:
        figures = _next_tokens(runs(), sequences, text_bytes)
    else:
        figures = _sentences(runs(), len(inputs))
    timed = {"seconds": clock.netlist}
    if reference:
        timed["reference_seconds"] = clock.reference
    return figures | timed


def outputs(net: Netlist, session: Session | None = None) -> Model:
    """A netlist as a function of whole sequences [B, S] -> outputs [B, S, n] as real numbers."""
    backend = find(DEFAULT)
    running = session or backend.open(net)
    unit = net.populations[net.output].unit

    def run(tokens: Tokens) -> Floats:
        values: Floats = run_whole(running, backend.limits, tokens) * unit
        return values

    return run


def _next_tokens(
    runs: Iterator[tuple[list[int], Floats, Floats | None]],
    sequences: Sequence[Sequence[int]],
    text_bytes: int | None,
) -> dict[str, Any]:
    """Perplexity; with a reference also the reference's, the share of equal first choices, and KL.

    The latter is KL(reference || netlist), the mean over scored tokens.
    """
    scored = agreed = 0
    surprise = reference_surprise = divergence = 0.0
    compared = False
    for which, mine, theirs in runs:
        for row, i in enumerate(which):
            right = np.array(sequences[i][1:], np.int64)
            place = np.arange(len(right))
            ours = log_softmax(mine[row])
            surprise -= float(ours[place, right].sum())
            scored += len(right)
            if theirs is None:
                continue
            compared = True
            true = log_softmax(theirs[row])
            reference_surprise -= float(true[place, right].sum())
            agreed += int((ours.argmax(1) == true.argmax(1)).sum())
            divergence += float((np.exp(true) * (true - ours)).sum())
    figures: dict[str, Any] = {"tokens": scored}
    if text_bytes is not None:
        figures["bytes"] = text_bytes
    figures |= _surprise("", surprise, scored, text_bytes)
    if compared:
        figures |= _surprise("reference_", reference_surprise, scored, text_bytes)
        figures["top1_agreement"] = agreed / scored
        figures["mean_kl"] = divergence / scored
    return figures


def _surprise(model: str, nats: float, tokens: int, text_bytes: int | None) -> dict[str, float]:
    """-ln p in the three usual measures; `nats`: its sum over all scored tokens."""
    figures = {f"{model}perplexity": _exp(nats / tokens), f"{model}nats_per_token": nats / tokens}
    if text_bytes:
        figures[f"{model}bits_per_byte"] = nats / math.log(2) / text_bytes
    return figures


def _sentences(
    runs: Iterator[tuple[list[int], Floats, Floats | None]], count: int
) -> dict[str, Any]:
    """With a reference: the mean of 1 - cosine between both models' embeddings of a sentence.

    And the largest difference between the similarities that both models give to any two sentences.
    """
    mine: dict[int, Floats] = {}
    theirs: dict[int, Floats] = {}
    tokens = 0
    for which, ours, true in runs:
        tokens += ours.shape[0] * ours.shape[1]
        for row, i in enumerate(which):
            mine[i] = _direction(ours[row])
            if true is not None:
                theirs[i] = _direction(true[row])
    figures: dict[str, Any] = {"sentences": count, "tokens": tokens}
    if theirs:
        ours = np.stack([mine[i] for i in range(count)])
        true = np.stack([theirs[i] for i in range(count)])
        figures["mean_cosine_error"] = float((1 - (ours * true).sum(1)).mean())
        figures["max_similarity_error"] = float(np.abs(ours @ ours.T - true @ true.T).max())
    return figures


def _direction(states: Floats) -> Floats:
    """The unit vector of the mean over tokens [S, n]; zero stays zero."""
    mean: Floats = states.mean(0)
    length = float(np.linalg.norm(mean))
    return mean / length if length else mean


def log_softmax(scores: Floats) -> Floats:
    shifted = scores - scores.max(1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return result


def _exp(nats: float) -> float:
    return math.exp(min(nats, 700.0))  # e**709 is the largest float


def batched(sequences: Sequence[Sequence[int]], outputs: int) -> Iterator[tuple[list[int], Tokens]]:
    """Batches of sequences of equal length, shortest first: their indices and tokens [B, S].

    outputs: numbers that the model gives per token, which bound the size of a batch.
    """
    budget = min(BATCH_TOKENS, BATCH_NUMBERS // max(1, outputs))
    by_length: dict[int, list[int]] = {}
    for i, sequence in enumerate(sequences):
        by_length.setdefault(len(sequence), []).append(i)
    for length, members in sorted(by_length.items()):
        rows = max(1, budget // length)
        for start in range(0, len(members), rows):
            which = members[start : start + rows]
            yield which, np.array([sequences[i] for i in which], np.int64)


def read_sequences(net: Netlist, path: Path, limit: int) -> list[list[int]]:
    """About `limit` tokens of a text, as sequences for the netlist to run; see `read_passages`."""
    return [passage.ids for passage in read_passages(net, path, limit)]


def read_passages(net: Netlist, path: Path, limit: int, lines: bool = False) -> list[Passage]:
    """About `limit` tokens of a text as passages; `lines`: a causal model too reads line by line.

    Raises CalibrationError where the netlist has no tokenizer or the text too few tokens,
    PromptError for a line longer than the context or a token outside the vocabulary.
    """
    if net.tokenizer is None:
        raise CalibrationError(
            f"the netlist holds no tokenizer to read {path} with",
            "compile it from a folder that holds tokenizer.json",
        )
    cut = _lines if lines or not net.causal else _windows
    text, whole = read_text(path, limit * BYTES_PER_TOKEN)
    passages = cut(net, path, text, limit)
    # Tokens are unusually long: read all of the text.
    if not whole and sum(len(one.ids) for one in passages) < limit:
        passages = cut(net, path, read_text(path, None)[0], limit)
    least = 2 if net.causal else 1
    if not passages or max(len(one.ids) for one in passages) < least:
        raise CalibrationError(f"{path}: holds too few tokens", "give at least a sentence")
    for one in passages:
        check_ids(net, one.ids, f"{path}")
    return passages


def _windows(net: Netlist, path: Path, text: str, limit: int) -> list[Passage]:
    """The text as one stream; a character belongs to the first token whose end lies behind it."""
    encoding = tokenizer(net).encode(text, add_special_tokens=False)
    ids = encoding.ids[:limit]
    ends = np.maximum.accumulate([end for _, end in encoding.offsets[:limit]], dtype=np.int64)
    passages = []
    for i in range(0, len(ids), net.context):
        inside = ids[i : i + net.context]
        if len(inside) > 1:
            scored = text[ends[i] : ends[i + len(inside) - 1]]
            passages.append(Passage(inside, len(scored.encode())))
    return passages


def _lines(net: Netlist, path: Path, text: str, limit: int) -> list[Passage]:
    """Each line with special tokens; a causal model's last token is only predicted."""
    reader = tokenizer(net)
    between = TextTokens(net) if net.causal else None
    predicted = 1 if net.causal else 0
    passages: list[Passage] = []
    tokens = 0
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        bare = line.splitlines()[0]
        if not net.causal and not bare.strip():
            continue
        ids = between.line(bare) if between else list(reader.encode(bare).ids)
        read = len(ids) - predicted
        if passages and tokens + read > limit:
            break
        if read > net.context:
            raise PromptError(
                f"{path}: line {number} has {read} tokens, the netlist's context is {net.context}",
                "shorten the line, or compile with a larger --context",
            )
        tokens += read
        passages.append(Passage(ids, len(line.encode())))
    return passages

"""Where calibration tokens come from: a text, a file of token ids, or the model itself.

A causal model reads one stream cut into windows; an encoder reads one sentence per line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from las_neuro.array_file import read_array
from las_neuro.checkpoint import Checkpoint
from las_neuro.errors import CalibrationError
from las_neuro.files import read_text
from las_neuro.graph import Graph
from las_neuro.rows import Tokens

WINDOW = 256  # tokens per sequence, if the context allows it
BATCH_TOKENS = 1024  # a batch holds about this many tokens
TEXT_LIMIT = 64  # bytes of text read per token of the limit
SEED = 0


def calibration_tokens(
    checkpoint: Checkpoint, path: Path | None, graph: Graph, limit: int = 4096
) -> list[Tokens]:
    """About `limit` tokens as batches [B, S] of equal length, S at most the context.

    path: a UTF-8 text; `.npy` or `.json` of token ids; None: text that the model itself generates
    (causal), or random tokens between the tokenizer's special tokens (encoders).  Raises
    `CalibrationError` if the file cannot be read, holds no tokens or ids outside the vocabulary.
    """
    if path is None:
        sequences = _from_model(checkpoint, graph, limit)
    elif path.suffix in {".npy", ".json"}:
        sequences = _from_ids(path, graph)
    else:
        sequences = _from_text(checkpoint, path, graph, limit)
    batches = _batched(_limited(sequences, limit))
    if not batches:
        raise CalibrationError(f"{path}: holds no tokens", "give at least a few sentences")
    _check_ids(batches, path, graph)
    return batches


def _window(graph: Graph) -> int:
    return min(graph.context, WINDOW)


def _from_text(checkpoint: Checkpoint, path: Path, graph: Graph, limit: int) -> list[Sequence[int]]:
    text, _ = read_text(path, limit * TEXT_LIMIT)
    tokenizer = _tokenizer(checkpoint)
    if tokenizer is None:
        raise CalibrationError(
            f"{checkpoint.folder}: holds no tokenizer to read {path} with",
            "put tokenizer.json beside the model, or give token ids as .npy or .json",
        )
    if graph.causal:
        stream = tokenizer.encode(text, add_special_tokens=False).ids
        return _windows(stream, _window(graph), _start(tokenizer))
    lines = [line for line in text.splitlines() if line.strip()]
    return [encoding.ids[: graph.context] for encoding in tokenizer.encode_batch(lines)]


def _windows(stream: Sequence[int], size: int, start: Sequence[int]) -> list[Sequence[int]]:
    """The stream cut up; every other window begins with the start token.

    Many models put their largest activations on the first token, so calibration needs both
    a start token and a plain one there: a stream may be run either way.
    """
    windows: list[Sequence[int]] = []
    place = 0
    while place < len(stream):
        lead = list(start) if size > 1 and len(windows) % 2 == 0 else []
        count = size - len(lead)
        windows.append([*lead, *stream[place : place + count]])
        place += count
    return windows


def _start(tokenizer: Tokenizer | None) -> list[int]:
    """The token that this tokenizer puts first, if any."""
    return [] if tokenizer is None else list(tokenizer.encode("").ids[:1])


def _from_ids(path: Path, graph: Graph) -> list[Sequence[int]]:
    """One stream of ids, cut into windows, or a list of sequences, cut to the context."""
    remedy = "save a list of token ids, or a list of such lists"
    try:
        if path.suffix == ".npy":
            ids: Any = read_array(path, remedy).tolist()
        else:
            ids = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CalibrationError(f"{path}: cannot be read ({error})", remedy) from error
    if _integers(ids):
        return _windows(ids, _window(graph), ())
    if isinstance(ids, list) and all(_integers(row) for row in ids):
        return [row[: graph.context] for row in ids if row]
    raise CalibrationError(f"{path}: does not hold token ids", remedy)


def _integers(row: Any) -> bool:
    return isinstance(row, list) and all(type(value) is int and abs(value) < 2**63 for value in row)


def _from_model(checkpoint: Checkpoint, graph: Graph, limit: int) -> list[Sequence[int]]:
    tokenizer = _tokenizer(checkpoint)
    random = np.random.default_rng(SEED)
    if not graph.causal:
        return _random_sentences(tokenizer, graph, limit, random)
    from las_neuro.reference.model import FloatModel  # torch is slow to import

    size = _window(graph)
    rows = max(2, -(-limit // size))
    starts = random.integers(0, graph.vocabulary, (rows, 1))
    if start := _start(tokenizer):
        starts[::2, 0] = start[0]  # as in `_windows`: with and without the start token
    return [row.tolist() for row in FloatModel.load(checkpoint).sample(starts, size, SEED)]


def _random_sentences(
    tokenizer: Tokenizer | None, graph: Graph, limit: int, random: np.random.Generator
) -> list[Sequence[int]]:
    """Uniformly random tokens in sentences of 8 to 32, between the tokenizer's special tokens."""
    special: set[int] = set()
    frame: tuple[list[int], list[int]] = ([], [])
    if tokenizer is not None:
        special = {i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special}
        ids = tokenizer.encode("").ids
        frame = (ids[:1], ids[1:])
    plain = np.array([i for i in range(graph.vocabulary) if i not in special], np.int64)
    lengths = [size for size in (8, 16, 24, 32) if size <= graph.context] or [graph.context]
    sentences: list[Sequence[int]] = []
    while sum(map(len, sentences)) < limit:
        inner = max(1, lengths[len(sentences) % len(lengths)] - len(frame[0]) - len(frame[1]))
        sentence = [*frame[0], *random.choice(plain, inner).tolist(), *frame[1]]
        sentences.append(sentence[: graph.context])
    return sentences


def _tokenizer(checkpoint: Checkpoint) -> Tokenizer | None:
    from las_neuro.reference.tokenizer import tokenizer_json

    text = tokenizer_json(checkpoint.folder)
    return None if text is None else Tokenizer.from_str(text)


def _limited(sequences: Iterable[Sequence[int]], limit: int) -> list[Sequence[int]]:
    """The first sequences up to `limit` tokens; a last one that only partly fits is cut."""
    first: list[Sequence[int]] = []
    rest = limit
    for sequence in sequences:
        if rest < 1:
            break
        first.append(sequence[:rest])
        rest -= len(sequence)
    return first


def _batched(sequences: Sequence[Sequence[int]]) -> list[Tokens]:
    """Sequences of equal length together, about BATCH_TOKENS per batch; shortest first."""
    batches: list[Tokens] = []
    by_length = sorted((sequence for sequence in sequences if sequence), key=len)
    for size, group in groupby(by_length, key=len):
        same = list(group)
        rows = max(1, BATCH_TOKENS // size)
        batches += [np.array(same[i : i + rows], np.int64) for i in range(0, len(same), rows)]
    return batches


def _check_ids(batches: Sequence[Tokens], path: Path | None, graph: Graph) -> None:
    least, most = min(b.min() for b in batches), max(b.max() for b in batches)
    if least < 0 or most >= graph.vocabulary:
        raise CalibrationError(
            f"{path}: token ids {least} to {most} leave 0 to {graph.vocabulary - 1}",
            "use the tokenizer that belongs to this model",
        )

"""training_text: a user's text as rows of tokens to train on, and held-out rows to measure on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from las_neuro.calibration.text import calibration_tokens
from las_neuro.checkpoint import Checkpoint
from las_neuro.errors import CalibrationError
from las_neuro.graph import Graph
from las_neuro.rows import Tokens

MOST_TOKENS = 1_000_000  # read from the text
HELD_OUT = 10  # one row in this many is held out
MEASURED_TOKENS = 16384  # a measurement takes about this many tokens at most


@dataclass(frozen=True)
class Text:
    """rows: length -> [rows, length] to train on; heldout: batches that are never trained on."""

    rows: dict[int, Tokens]
    heldout: list[Tokens]

    @property
    def tokens(self) -> int:
        return sum(rows.size for rows in self.rows.values())

    def batch(self, seed: int, number: int, size: int) -> Tokens:
        """Batch `number`: random rows of one length, about `size` tokens.

        It depends only on the seed and the number, so an interrupted run continues with the batches
        that it would have had, without saving the state of a random generator.
        """
        random = np.random.default_rng((seed, number))
        lengths = list(self.rows)
        counts = np.array([len(self.rows[length]) for length in lengths])
        rows = self.rows[lengths[int(random.choice(len(lengths), p=counts / counts.sum()))]]
        count = min(max(1, size // rows.shape[1]), len(rows))
        batch: Tokens = rows[random.choice(len(rows), count, replace=False)]
        return batch


def read_text(checkpoint: Checkpoint, graph: Graph, path: Path, heldout: Path | None) -> Text:
    """The text at `path` as rows of tokens.

    heldout: a text to measure on; None: every tenth row of the first text is held out.  Raises
    `CalibrationError` if a text cannot be read or is too short.
    """
    rows = _rows(calibration_tokens(checkpoint, path, graph, MOST_TOKENS))
    if heldout is not None:
        batches = calibration_tokens(checkpoint, heldout, graph, MEASURED_TOKENS)
        unseen = [batch for batch in batches if batch.shape[1] > 1]
    else:
        unseen = []
        for length, tokens in rows.items():
            unseen.append(tokens[HELD_OUT - 1 :: HELD_OUT])
            rows[length] = np.delete(tokens, np.s_[HELD_OUT - 1 :: HELD_OUT], axis=0)
        if not any(map(len, unseen)):  # a short text: hold out its last row
            length = max(rows)
            unseen = [rows[length][-1:]]
            rows[length] = rows[length][:-1]
    rows = {length: tokens for length, tokens in rows.items() if len(tokens)}
    unseen = _limited([batch for batch in unseen if len(batch)])
    if not rows or not unseen:
        raise CalibrationError(
            f"{path}: too short to train on and hold out a part",
            "give at least a few paragraphs, or a second text with --heldout",
        )
    return Text(rows, unseen)


def _rows(batches: Sequence[Tokens]) -> dict[int, Tokens]:
    """Batches by length.  Rows of one token are dropped: they have no next token to predict."""
    lengths = sorted({batch.shape[1] for batch in batches if batch.shape[1] > 1})
    return {n: np.concatenate([b for b in batches if b.shape[1] == n]) for n in lengths}


def _limited(batches: list[Tokens]) -> list[Tokens]:
    """About MEASURED_TOKENS tokens, evenly spaced, in batches of at most 1024 tokens."""
    stride = -(-sum(batch.size for batch in batches) // MEASURED_TOKENS)
    thinned = [batch[::stride] for batch in batches]
    rows = [(batch, max(1, 1024 // batch.shape[1])) for batch in thinned]
    return [batch[i : i + n] for batch, n in rows for i in range(0, len(batch), n)]

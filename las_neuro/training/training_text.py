"""training_text: a user's text as rows of tokens to train on, and rows kept aside to measure on."""

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

MOST_TOKENS = 1_000_000  # read of the text
HELD_OUT = 10  # one row in so many is kept aside
MEASURED_TOKENS = 16384  # most tokens a measurement runs on


@dataclass(frozen=True)
class Text:
    """rows: length -> [rows, length] to train on; aside: batches the model never trains on."""

    rows: dict[int, Tokens]
    aside: list[Tokens]

    @property
    def tokens(self) -> int:
        return sum(rows.size for rows in self.rows.values())

    def batch(self, seed: int, number: int, size: int) -> Tokens:
        """Batch `number`: random rows of one length, about `size` tokens.

        It depends on nothing but the seed and its number, so a run that was interrupted goes on
        with the very batches it would have had, and there is no generator's state to keep.
        """
        random = np.random.default_rng((seed, number))
        lengths = list(self.rows)
        counts = np.array([len(self.rows[length]) for length in lengths])
        rows = self.rows[lengths[int(random.choice(len(lengths), p=counts / counts.sum()))]]
        wanted = min(max(1, size // rows.shape[1]), len(rows))
        chosen: Tokens = rows[random.choice(len(rows), wanted, replace=False)]
        return chosen


def read_text(checkpoint: Checkpoint, graph: Graph, path: Path, heldout: Path | None) -> Text:
    """heldout: a text to measure on; None: every tenth row of the first is kept aside."""
    rows = _rows(calibration_tokens(checkpoint, path, graph, MOST_TOKENS))
    if heldout is not None:
        batches = calibration_tokens(checkpoint, heldout, graph, MEASURED_TOKENS)
        aside = [batch for batch in batches if batch.shape[1] > 1]
    else:
        aside = []
        for length, found in rows.items():
            aside.append(found[HELD_OUT - 1 :: HELD_OUT])
            rows[length] = np.delete(found, np.s_[HELD_OUT - 1 :: HELD_OUT], axis=0)
        if not any(map(len, aside)):  # a short text: its last row
            length = max(rows)
            aside = [rows[length][-1:]]
            rows[length] = rows[length][:-1]
    rows = {length: found for length, found in rows.items() if len(found)}
    aside = _limited([batch for batch in aside if len(batch)])
    if not rows or not aside:
        raise CalibrationError(
            f"{path}: too short to train on and keep a part aside",
            "give at least a few paragraphs, or name a second text with --heldout",
        )
    return Text(rows, aside)


def _rows(batches: Sequence[Tokens]) -> dict[int, Tokens]:
    """Batches of equal length together; a row of one token has nothing to predict."""
    lengths = sorted({batch.shape[1] for batch in batches if batch.shape[1] > 1})
    return {n: np.concatenate([b for b in batches if b.shape[1] == n]) for n in lengths}


def _limited(batches: list[Tokens]) -> list[Tokens]:
    """About MEASURED_TOKENS of them, spread evenly, in batches of at most 1024 tokens."""
    stride = -(-sum(batch.size for batch in batches) // MEASURED_TOKENS)
    thinned = [batch[::stride] for batch in batches]
    rows = [(batch, max(1, 1024 // batch.shape[1])) for batch in thinned]
    return [batch[i : i + n] for batch, n in rows for i in range(0, len(batch), n)]

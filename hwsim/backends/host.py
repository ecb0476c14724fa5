"""The host's part in a run: it looks up table rows, sends them to the chip and counts look-ups.

For every token the host sends one row of each embedding or position table as graded spikes, or the
pixels of a patch where a model reads images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.model import HostTable, Netlist
from las_neuro.errors import PromptError
from las_neuro.integers import WORD_LIMIT, Ints
from las_neuro.rows import Rows

Floats = NDArray[np.float32]


class Host:
    """The tables of a netlist, loaded once."""

    def __init__(self, net: Netlist) -> None:
        self.net = net
        self.rows: dict[str, tuple[HostTable, NDArray[np.int32]]] = {
            table.population: (table, table.rows.load().clip(-WORD_LIMIT, WORD_LIMIT))
            for table in net.tables
        }
        self.lookups = 0

    def check(self, tokens: int) -> None:
        """Raise PromptError for a sequence of `tokens` tokens that is longer than the context."""
        if tokens > self.net.context:
            raise PromptError(
                f"{tokens} tokens exceed the context of {self.net.context}"
                " that the netlist was compiled for",
                "shorten the text or compile with a larger --context",
            )

    def inject(self, token: int | Floats, position: int) -> dict[str, Ints]:
        """Payloads [n] by input population, for one token or patch [pixels]."""
        payloads = self.inject_all(np.asarray(token)[None, None], position)
        return {name: rows[0, 0].astype(np.int64) for name, rows in payloads.items()}

    def inject_all(self, tokens: Rows, start: int) -> dict[str, NDArray[np.int32]]:
        """Payloads [batch, count, n] by input population, for tokens [batch, count].

        The first token is at position `start`.  Patches are [batch, count, pixels], in the model's
        units.  Raises PromptError for tokens to a vision model or patches to a language model.
        """
        self._check_form(tokens)
        positions = np.broadcast_to(
            np.arange(start, start + tokens.shape[1]), (tokens.shape[0], tokens.shape[1])
        )
        ids = {"token": tokens, "position": positions, "type": positions * 0}
        self.lookups += len(self.rows) * positions.size
        return {
            name: self._payloads(name, tokens)
            if table.source == "patch"
            else rows[ids[table.source] + table.offset]
            for name, (table, rows) in self.rows.items()
        }

    def _payloads(self, name: str, patches: Rows) -> NDArray[np.int32]:
        scaled = np.rint(patches.astype(np.float64) / self.net.populations[name].unit)
        payloads: NDArray[np.int32] = scaled.clip(-WORD_LIMIT, WORD_LIMIT).astype(np.int32)
        return payloads

    def _check_form(self, tokens: Rows) -> None:
        """Raise PromptError unless tokens, or patches for a vision model, have the right shape."""
        pixels, shape = self.net.pixels, list(tokens.shape)
        if pixels:
            expected = f"patches [batch, count, {pixels}]"
            fits = tokens.dtype.kind == "f" and shape[2:] == [pixels]
            fits = fits and bool(np.isfinite(tokens).all())
        else:
            expected, fits = (
                "token ids [batch, count]",
                tokens.dtype.kind in "iu" and len(shape) == 2,
            )
        if not fits:
            raise PromptError(
                f"this {self.net.family} netlist reads {expected}, not {tokens.dtype} {shape}",
                "give images to a vision model, text to the others",
            )

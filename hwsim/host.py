"""What stays outside the chip: table look-ups going in, and nothing else; each is counted.

The host sends, for every token, one row of each embedding or position table as graded spikes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.arrays import WORD_LIMIT, Ints
from compiler.netlist.model import HostTable, Netlist
from las_neuro.errors import PromptError


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
        """Refuse a sequence longer than the memories."""
        if tokens > self.net.context:
            raise PromptError(
                f"{tokens} tokens exceed the context of {self.net.context}"
                " that the netlist was compiled for",
                "shorten the text or compile with a larger --context",
            )

    def inject(self, token: int, position: int) -> dict[str, Ints]:
        """Payloads [n] by input population, for one token."""
        ids = {"token": token, "position": position, "type": 0}
        self.lookups += len(self.rows)
        return {
            name: rows[ids[table.source] + table.offset].astype(np.int64)
            for name, (table, rows) in self.rows.items()
        }

    def inject_all(self, tokens: NDArray[np.int64], start: int) -> dict[str, NDArray[np.int32]]:
        """The same for tokens [batch, count] at positions start..: [batch, count, n]."""
        positions = np.broadcast_to(np.arange(start, start + tokens.shape[1]), tokens.shape)
        ids = {"token": tokens, "position": positions, "type": tokens * 0}
        self.lookups += len(self.rows) * tokens.size
        return {
            name: rows[ids[table.source] + table.offset]
            for name, (table, rows) in self.rows.items()
        }

"""memory: holds one value; an enable spike overwrites it, an arriving spike sends digit * value.

K and V of attention (LAS's spike-equivalent product, arXiv 2505.09659, with one factor fully
received: O_t = A_t S_B), residual streams that wait for a later phase, and the flags of the slots
already written.  The content outlives the token; everything is silent where nothing was written.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compiler.netlist.arrays import Array, Ints, amount, namespace
from compiler.netlist.kinds.kind import Cost, Kind, Outcome, Params, State, Swept
from compiler.netlist.trains import Recalled


def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    """Write before read: a token sees its own slot."""
    enable = inputs["enable"]
    content = np.where(enable != 0, inputs["write"], state.get("content", enable * 0))
    return Outcome({"content": content}, inputs["read"] * content)


def window(state: State, arrivals: Mapping[str, Any], p: Params) -> Swept:
    """All tokens at once: each slot is written by at most one token, and seen from it on.

    write [batch, tokens, *axes with slots 1], enable [batch, tokens, slots, all other axes 1], the
    same for the whole batch; read: a train.  Content: [batch, *axes with the slots used so far].
    """
    content: Array = state.get("content")
    visible, axis = None, p["slot_axis"]
    if "enable" in arrivals:
        enable = (arrivals["enable"][0] != 0) * 1  # [tokens, slots and ones]
        if amount(enable.sum(0) > 1):
            raise ValueError("a memory slot is written twice within one window")
        writer, written = enable.argmax(0), enable.sum(0) > 0  # [slots and ones]
        fresh = _slots_last(arrivals["write"][:, writer.reshape(-1)], axis)
        content = _overlay(content, fresh, written, axis)
        since = writer * written  # [slots and ones]: older slots are seen by every token
        visible = (_count_up(enable) >= since)[None] * 1
    if "read" not in arrivals:
        return Swept(None, {"content": content})
    recalled = Recalled(arrivals["read"], content[:, None], visible, p["limit"], axis)
    return Swept(recalled, {"content": content})


def _slots_last(rows: Array, axis: int) -> Array:
    """[batch, slots, *axes with slots 1] -> [batch, *axes with slots in their place]."""
    return namespace(rows).moveaxis(rows.squeeze(2 + axis), 1, 1 + axis)


def _overlay(old: Array | None, fresh: Array, written: Array, axis: int) -> Array:
    """The old content with the written slots replaced; slots nobody wrote yet hold 0."""
    xp = namespace(fresh)
    kept = fresh * 0
    if old is not None:
        pad = xp.moveaxis(xp.moveaxis(kept, 1 + axis, 0)[old.shape[1 + axis] :], 0, 1 + axis)
        kept = xp.concatenate((old, pad), 1 + axis)
    return xp.where(written, fresh, kept)


def _count_up(enable: Array) -> Array:
    """Token numbers 0.. along the first axis, [tokens and ones]."""
    column = enable.reshape(enable.shape[0], -1)[:, 0] * 0 + 1
    return (column.cumsum(0) - 1).reshape((-1,) + (1,) * (enable.ndim - 1))


KIND = Kind(
    "memory",
    "stored value, overwritten on enable, multiplied by arriving spikes",
    ports={"write": "latch", "enable": "latch", "read": "train"},
    state={"content": 24},
    params={"limit": 24, "slot_axis": 3},
    step=step,
    window=window,
    cost=Cost(state_reads=1, state_writes=1, multiplies=1),
    keeps=("content",),
)

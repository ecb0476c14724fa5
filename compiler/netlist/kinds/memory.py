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
    """All tokens at once, each written as an entry of its own.

    write [batch, tokens, *axes with slots 1], enable [batch, tokens, slots, all other axes 1], the
    same for the whole batch; read: a train.  Content: [batch, *axes with the slots used so far].
    What is recalled has in the place of the slots those used before, then one a token: an entry is
    visible from its token to the one that takes its slot.  Until a ring is full, entries are slots.
    """
    content, visible, axis = state.get("content"), None, p["slot_axis"]
    entries: Array = content
    if "enable" in arrivals:
        place = _places(arrivals["enable"][0])
        fresh = _slots_last(arrivals["write"], axis)
        old = 0 if content is None else content.shape[1 + axis]
        entries = fresh if content is None else _join(content, fresh, 1 + axis)
        wanted = [len(place)] + [1] * (fresh.ndim - 1)
        wanted[1 + axis] = -1
        visible = _visible(place, old).reshape([1, *wanted])
        content = _by_slot(entries, place, old, axis)
    if "read" not in arrivals:
        return Swept(None, {"content": content})
    recalled = Recalled(arrivals["read"], entries[:, None], visible, p["limit"], axis)
    return Swept(recalled, {"content": content})


def _places(enable: Array) -> Array:
    """The slot each token writes, [tokens], of [tokens, slots and ones]."""
    tokens, places = namespace(enable).where(enable.reshape(enable.shape[0], -1) != 0)
    if len(tokens) != enable.shape[0] or amount(tokens != _count_up(tokens)):
        raise ValueError("a token does not write one slot")
    return places


def _slots_last(rows: Array, axis: int) -> Array:
    """[batch, tokens, *axes with slots 1] -> [batch, *axes with tokens in the slots' place]."""
    return namespace(rows).moveaxis(rows.squeeze(2 + axis), 1, 1 + axis)


def _visible(place: Array, old: int) -> Array:
    """Which entries each token sees: truth values [tokens, old + tokens]."""
    age = _count_up(place)
    until = (age[:1] + len(age)).repeat(old + len(age))  # the token that takes an entry's slot
    if _overwrites(place, old):
        same = place[:, None] == place
        later = namespace(place).where(same & (age > age[:, None]), age, len(age))
        until[old:] = namespace(place).amin(later, 1)
        first = ~(same & (age < age[:, None])).any(1) & (place < old)
        until[place[first]] = age[first]
    since = _join((age[:1] * 0).repeat(old), age, 0)
    return (age[:, None] >= since) & (age[:, None] < until)


def _by_slot(entries: Array, place: Array, old: int, axis: int) -> Array:
    """What the slots hold in the end."""
    if not _overwrites(place, old):
        return entries
    age = _count_up(place)
    entry = _count_up((place[:1]).repeat(max(old, int(place.max()) + 1)))
    entry[old:] = -1
    last = ~((place[:, None] == place) & (age > age[:, None])).any(1)
    entry[place[last]] = old + age[last]
    if amount(entry < 0):
        raise ValueError("slots are not filled in order")
    return entries[(slice(None),) * (1 + axis) + (entry,)]


def _overwrites(place: Array, old: int) -> bool:
    """Whether the tokens do more than take the next free slots."""
    return amount(place != old + _count_up(place)) > 0


def _join(one: Array, two: Array, axis: int) -> Array:
    return namespace(one).concatenate((one, two), axis)


def _count_up(x: Array) -> Array:
    """0, 1, .. as many as there are in x [n]."""
    return (x * 0 + 1).cumsum(0) - 1


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

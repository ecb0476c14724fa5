"""memory: stores a value; an enable spike overwrites it, a read spike sends digit * value.

It stores K and V of attention (LAS's spike-equivalent product, arXiv 2505.09659, with one factor
completely received: O_t = A_t S_B), residual streams that wait for a later phase, and flags of
written slots.  The content is kept from token to token; a compartment that was never written is
silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from compiler.netlist.faults import need
from compiler.netlist.kinds.kind import Cost, Kind, Outcome, Port, State, WindowOutcome, Word
from compiler.netlist.kinds.params import Param, Params
from compiler.netlist.kinds.timing import Steps, Timing
from compiler.netlist.trains import Recalled
from las_neuro.integers import Array, Ints, amount, namespace

if TYPE_CHECKING:
    from compiler.netlist.model import Population
    from compiler.netlist.timetable import Timetable
    from compiler.netlist.wiring import Wiring


def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
    """Write, then read: a token sees its own slot."""
    enable = inputs["enable"]
    content = np.where(enable != 0, inputs["write"], state.get("content", enable * 0))
    return Outcome({"content": content}, inputs["read"] * content)


def window(state: State, arrivals: Mapping[str, Any], p: Params) -> WindowOutcome:
    """All tokens at once; every token writes an entry of its own.

    write: [batch, tokens, *axes, of which slots has size 1].  enable: [batch, tokens, slots, other
    axes of size 1], equal for the whole batch.  read: a train.  The state's content is
    [batch, *axes, with the slots used so far].  In the recalled train the axis of slots has the
    slots used before, then one entry per token; an entry is visible from its token until another
    token overwrites its slot.  Until a ring is full, entries and slots are the same.
    """
    content, visible, axis = state.get("content"), None, p["slot_axis"]
    entries: Array = content
    if "enable" in arrivals:
        place = _places(arrivals["enable"][0])
        fresh = _slots_last(arrivals["write"], axis)
        old = 0 if content is None else content.shape[1 + axis]
        entries = fresh if content is None else _join(content, fresh, 1 + axis)
        shape = [len(place)] + [1] * (fresh.ndim - 1)
        shape[1 + axis] = -1
        visible = _visible(place, old).reshape([1, *shape])
        content = _by_slot(entries, place, old, axis)
    if "read" not in arrivals:
        return WindowOutcome(None, {"content": content})
    train = Recalled(arrivals["read"], entries[:, None], visible, p["limit"], axis)
    return WindowOutcome(train, {"content": content})


def _places(enable: Array) -> Array:
    """The slot that each token writes, [tokens], from enable [tokens, slots, other axes of size 1].

    Raises ValueError where a token does not write exactly one slot.
    """
    tokens, places = namespace(enable).where(enable.reshape(enable.shape[0], -1) != 0)
    if len(tokens) != enable.shape[0] or amount(tokens != _count_up(tokens)):
        raise ValueError("a token does not write one slot")
    return places


def _slots_last(rows: Array, axis: int) -> Array:
    """[batch, tokens, *axes, slots of size 1] -> [batch, *axes, with tokens in place of slots]."""
    return namespace(rows).moveaxis(rows.squeeze(2 + axis), 1, 1 + axis)


def _visible(place: Array, old: int) -> Array:
    """Which entries each token sees: booleans [tokens, old + tokens].

    place: slot of each token.  old: number of slots used before the window.
    """
    age = _count_up(place)
    until = (age[:1] + len(age)).repeat(old + len(age))  # the token that overwrites an entry
    if _overwrites(place, old):
        same = place[:, None] == place
        later = namespace(place).where(same & (age > age[:, None]), age, len(age))
        until[old:] = namespace(place).amin(later, 1)
        first = ~(same & (age < age[:, None])).any(1) & (place < old)
        until[place[first]] = age[first]
    since = _join((age[:1] * 0).repeat(old), age, 0)
    return (age[:, None] >= since) & (age[:, None] < until)


def _by_slot(entries: Array, place: Array, old: int, axis: int) -> Array:
    """Content of the slots after the window; ValueError where slots are not filled in order."""
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
    """Whether tokens overwrite slots, instead of filling the next free ones in order."""
    return amount(place != old + _count_up(place)) > 0


def _join(one: Array, two: Array, axis: int) -> Array:
    return namespace(one).concatenate((one, two), axis)


def _count_up(x: Array) -> Array:
    """0, 1, .. n - 1 for x [n]."""
    return (x * 0 + 1).cumsum(0) - 1


def check(population: Population) -> None:
    axis = population.params["slot_axis"]
    need(axis < len(population.axes), population.label, f"slot axis {axis}")


def check_wiring(wiring: Wiring, memory: Population) -> None:
    """Check that value and enable arrive together and before any read, and that the wiring fits.

    A memory sends when it is read, has as many slots as its context or its window, is enabled by a
    pointer to its slots, and is read along its own axes.
    """
    at = memory.label
    value, enable = (wiring.into(memory.name, port)[0] for port in ("write", "enable"))
    writes = wiring.arrivals(value)
    need(writes == wiring.arrivals(enable), at, "value and enable come apart")
    reads = [wiring.arrivals(group) for group in wiring.into(memory.name, "read")]
    need(memory.sends == (reads[0] if reads else ()), at, "does not answer when it is read")
    need(not reads or writes[0] <= reads[0][0], at, "is read before it is written")
    axis, slots = list(memory.axes.items())[memory.params["slot_axis"]]
    context = wiring.net.context  # fewer slots are a ring, which only a decoder's attention has
    fits = slots == context or (slots < context and wiring.net.causal)
    need(fits, at, f"{slots} slots for {context} tokens")
    writer = wiring.net.populations[enable.source]
    points = writer.does.one_hot and writer.axes in ({axis: slots}, {} if slots == 1 else None)
    need(points, at, f"`{writer.name}` is no pointer to its slots")
    for group in wiring.into(memory.name, "read"):
        reader = wiring.net.populations[group.source]
        along = wiring.pattern(group) is not None and set(reader.axes) <= set(memory.axes)
        need(along, at, f"`{reader.name}` reads it along other axes")


def _steps(table: Timetable, population: Population) -> Steps:
    """The step after the value is sent; the pointer is moved so that it fires at the same step."""
    value, writer = (table.wiring.source(population.name, port) for port in ("write", "enable"))
    if value != writer:
        table.assign(writer, table.sends[value])
    return tuple(t + 1 for t in table.sends[writer])


KIND = Kind(
    "memory",
    "stored value, overwritten on enable, multiplied by arriving spikes",
    ports={"write": Port("latch"), "enable": Port("latch"), "read": Port("train", needed=False)},
    state={"content": Word(24, keeps=True)},
    params={"limit": Param(24), "slot_axis": Param(3)},
    step=step,
    window=window,
    cost=lambda p: Cost(state_reads=1, state_writes=1, multiplies=1),
    timing=Timing(_steps, sends=None),
    recalled_by="read",
    check=check,
    check_wiring=check_wiring,
)

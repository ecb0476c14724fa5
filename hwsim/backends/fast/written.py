"""Written synapses in the fast engine: what the tokens of a window write, and sums through it.

A window's entries are the slots used before it, then one for each of its tokens, which may take the
slot of an older entry; `visible` tells which entries a token finds in the slots.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from compiler.netlist.model import Population, Written
from compiler.netlist.trains import Digits, Train
from las_neuro.integers import WORD_LIMIT

Tensor = torch.Tensor
Segment = tuple[int, int]
EXACT_FLOAT32 = 2**24


@dataclass(frozen=True)
class Entries:
    """What a group's synapses hold for the tokens of one window."""

    content: Tensor  # [batch, *axes with entries in the slots' place]
    visible: Tensor | None  # truth values [tokens, entries]; None: every token sees all

    def by_slot(self, slot_axis: int, place: Tensor | None, old: int) -> Tensor:
        """What the slots hold in the end, [batch, *axes with the slots used so far]."""
        if place is None or not _overwrites(place, old):
            return self.content
        age = torch.arange(len(place), device=place.device)
        entry = torch.arange(max(old, int(place.max()) + 1), device=place.device)
        entry[old:] = -1
        last = ~((place[:, None] == place) & (age > age[:, None])).any(1)
        entry[place[last]] = old + age[last]
        if bool((entry < 0).any()):
            raise ValueError("slots are not filled in order")
        return self.content.index_select(1 + slot_axis, entry)


def write(
    form: Written, held: Tensor | None, pointer: Tensor, value: Tensor
) -> tuple[Entries, Tensor]:
    """A window's entries, and what the slots hold after it.

    held: [batch, *axes with slots used so far].  pointer: [1 or batch, tokens, slots] or, for one
    slot, [1 or batch, tokens]; alike for the whole batch.  value: [batch, tokens, *axes but slots].
    """
    place, axis = _places(pointer), 1 + form.slot_axis
    fresh = value.movedim(1, axis)
    old = 0 if held is None else held.shape[axis]
    content = fresh if held is None else torch.cat((held, fresh), dim=axis)
    entries = Entries(content, _visible(place, old))
    return entries, entries.by_slot(form.slot_axis, place, old)


def _places(pointer: Tensor) -> Tensor:
    """The slot that each token writes, [tokens]."""
    count = pointer.shape[1]
    tokens, places = torch.nonzero(pointer[0].reshape(count, -1), as_tuple=True)
    if len(tokens) != count or bool((tokens != torch.arange(count, device=tokens.device)).any()):
        raise ValueError("a token does not write one slot")
    return places


def _visible(place: Tensor, old: int) -> Tensor:
    """Which entries each token sees: an entry, from its token to the one that takes its slot."""
    age = torch.arange(len(place), device=place.device)
    until = age.new_full((old + len(age),), len(age))
    if _overwrites(place, old):
        same = place[:, None] == place
        later = torch.where(same & (age > age[:, None]), age, len(age))
        until[old:] = later.amin(1)
        first = ~(same & (age < age[:, None])).any(1) & (place < old)
        until[place[first]] = age[first]
    since = torch.cat((age.new_zeros(old), age))
    return (age[:, None] >= since) & (age[:, None] < until)


def _overwrites(place: Tensor, old: int) -> bool:
    """Whether the tokens do more than take the next free slots."""
    return bool((place != old + torch.arange(len(place), device=place.device)).any())


@dataclass(frozen=True)
class ProductAxes:
    """How the axes of source and content are laid out for products of matrices.

    `over` is summed, `free` are the content's and not the source's.  Of the others, those that the
    content lacks (queries that share their keys) are rows of one product, as tokens are; each entry
    of the rest has its own product.
    """

    source: tuple[str, ...]
    content: tuple[str, ...]
    over: str
    free: tuple[str, ...]
    others: tuple[str, ...]  # those the content lacks last

    @staticmethod
    def of(source: Population, target: Population, form: Written) -> ProductAxes | None:
        """None where nothing is summed: each weight is sent on as it is."""
        summed = [axis for axis in source.axes if axis not in target.axes]
        if not summed:
            return None
        (over,), free = summed, tuple(axis for axis in form.axes if axis not in source.axes)
        others = sorted((a for a in source.axes if a != over), key=lambda a: a not in form.axes)
        return ProductAxes(tuple(source.axes), form.axes, over, free, tuple(others))

    def matrix(self, content: Tensor) -> Tensor:
        """[batch, *content axes] -> [batch, products, over, free]."""
        shared = [axis for axis in self.others if axis in self.content]
        order = [*shared, self.over, *self.free]
        x = content.permute(0, *(1 + self.content.index(axis) for axis in order))
        rows = x.shape[1 + len(shared)]
        return x.reshape(x.shape[0], math.prod(x.shape[1 : 1 + len(shared)]), rows, -1)

    def sizes(self, content: Tensor) -> list[int]:
        """Sizes of the free axes."""
        return [content.shape[1 + self.content.index(axis)] for axis in self.free]


@dataclass(frozen=True)
class Product:
    """Payloads times the written weights of one group."""

    layout: ProductAxes
    matrix: Tensor  # [batch, products, over, free], integers
    free: list[int]  # sizes of the free axes
    target: Population

    def of(
        self, plane: Tensor, dtype: torch.dtype, unit: float = 1.0, offset: float = 0.0
    ) -> Tensor:
        """plane [batch, tokens, *source] * matrix * unit + offset: [batch, tokens, *target]."""
        a, matrix = self.layout, self.matrix.to(dtype)
        matrix = matrix if unit == 1 else matrix * unit
        order = [2 + a.source.index(axis) for axis in a.others]
        x = plane.permute(
            0, *order, 1, 2 + a.source.index(a.over)
        )  # [batch, *others, tokens, over]
        rows = x.reshape(x.shape[0] * matrix.shape[1], -1, x.shape[-1]).to(dtype)
        sums = torch.baddbmm(matrix.new_full((), offset), rows, matrix.flatten(0, 1))
        sums = sums.reshape(*x.shape[:-1], *self.free)
        at = {axis: 1 + i for i, axis in enumerate([*a.others, "tokens", *a.free])}
        return sums.permute(0, at["tokens"], *(at[axis] for axis in self.target.axes))


def totals(
    train: Train,
    entries: Entries,
    layout: ProductAxes,
    form: Written,
    target: Population,
    segments: list[Segment],
    shift: tuple[int, ...],
    *,
    alone: bool,
) -> list[Tensor]:
    """Each segment's sums over one axis, [batch, tokens, *target axes with entries for slots].

    alone: nothing else arrives where these sums do.
    """
    digits = _plain(train)
    content = entries.content
    product = Product(layout, layout.matrix(content), layout.sizes(content), target)
    by_segment = None
    if alone and isinstance(digits, Digits) and len(segments) > 1:
        by_segment = _at_once(digits, product, segments, shift)
    if by_segment is None:
        by_segment = [_segment(digits, product, s, shift, form.limit) for s in segments]
    slots = form.axes[form.slot_axis]
    if entries.visible is not None and slots in target.axes:
        place = list(target.axes).index(slots)
        for sums in by_segment:
            if sums.ndim:
                _hide(sums, spread(entries.visible, place, len(target.axes)), 2 + place)
    return by_segment


def passed_on(
    train: Train,
    entries: Entries,
    form: Written,
    ends: tuple[Population, Population],
    segment: Segment,
    shift: tuple[int, ...],
) -> Tensor:
    """One segment where nothing is summed: payload times weight, size 1 along axes of neither."""
    source, target = ends
    x = _in_place(train.plane(*segment, shift), 2, tuple(source.axes), target)
    content = _in_place(entries.content.unsqueeze(1), 2, form.axes, target)
    place = list(target.axes).index(form.axes[form.slot_axis])
    if entries.visible is None:
        return x * content
    return x * content * spread(entries.visible, place, len(target.axes))


def _in_place(x: Tensor, leading: int, axes: tuple[str, ...], target: Population) -> Tensor:
    """x [.., *axes] with the target's axes in its order, size 1 where x has none."""
    kept = [axis for axis in target.axes if axis in axes]
    x = x.permute(*range(leading), *(leading + axes.index(axis) for axis in kept))
    for place, axis in enumerate(target.axes):
        if axis not in axes:
            x = x.unsqueeze(leading + place)
    return x


def spread(visible: Tensor, place: int, count: int) -> Tensor:
    """[tokens, entries] -> [1, tokens, *axes], the entries at one of `count` axes."""
    shape = [1, visible.shape[0]] + [1] * count
    shape[2 + place] = visible.shape[1]
    return visible.reshape(shape)


def _at_once(
    digits: Digits,
    product: Product,
    segments: list[Segment],
    shift: tuple[int, ...],
) -> list[Tensor] | None:
    """All segments in one product, where the content shows that no sum can leave its word.

    Cuts round down, the last one to nearest, and a floor inside a floor may be left out:
    floor((floor(x / a) + n) / b) = floor((x + a n) / (a b)).  So the last sum is that of all digits
    and one half, divided once; the segments before it may as well have been 0.
    """
    low = [digits.low(lo, hi, shift) for lo, hi in segments]
    cut_away = [lowest - counted for lowest, counted in low]
    most = int(product.matrix.abs().sum(2).max()) * digits.largest_payload
    ends = [
        counted + (hi - lo) * digits.digit_bits
        for (_, counted), (lo, hi) in zip(low, segments, strict=True)
    ]
    if (most << max(ends)) + 2 > WORD_LIMIT:
        return None
    half = (1 << cut_away[-1]) >> 1
    whole = most << (low[-1][0] + (segments[-1][1] - segments[-1][0]) * digits.digit_bits)
    dtype = torch.float32 if whole + half < EXACT_FLOAT32 else torch.float64
    unit = 2.0 ** -cut_away[-1]
    plane = digits.magnitude if digits.minus is None else digits.magnitude - digits.minus
    plane = plane if digits.payload is None else plane * digits.payload
    sums = product.of(plane, dtype, unit, half * unit).floor_().to(torch.int32)
    return [sums.new_zeros(())] * (len(segments) - 1) + [sums]


def _segment(
    train: Train, product: Product, segment: Segment, shift: tuple[int, ...], limit: int
) -> Tensor:
    """One segment's product, in the narrowest type that holds every sum."""
    plane = train.plane(*segment, shift)
    if isinstance(train, Digits):
        largest = train.largest(*segment, shift, 1)
    else:
        largest = int(plane.abs().max())
    bound = largest * limit * product.matrix.shape[2]
    dtype = torch.float32 if bound < EXACT_FLOAT32 else torch.float64
    sums = product.of(plane, dtype)
    return sums.to(torch.int32 if dtype == torch.float32 else torch.int64)


def _plain(train: Train) -> Train:
    """Digits without payloads where all are 0 or 1."""
    payload = train.payload if isinstance(train, Digits) else None
    if not isinstance(train, Digits) or payload is None or train.minus is not None:
        return train
    if payload.min() < 0 or payload.max() > 1:
        return train
    return replace(train, magnitude=train.magnitude * payload, payload=None)


def _hide(x: Tensor, visible: Tensor, axis: int) -> None:
    """Silence in place what tokens do not see; all see most entries."""
    some = torch.nonzero(~visible.all(dim=1).reshape(-1)).reshape(-1)
    x, visible = x.movedim(axis, -1), visible.movedim(axis, -1)
    x[..., some] = x[..., some] * visible[..., some]


def by_slot(x: Tensor, axis: int, slots: int, start: int, tokens: int) -> Tensor:
    """Entries along an axis as slots, for a window of `tokens` tokens after `start`.

    Slots not used yet are silent; of the entries that share a slot a token sees one, so that what
    they send or count adds up.
    """
    entries = x.shape[axis]
    if entries == slots:
        return x
    shape = list(x.shape)
    if entries < slots:
        shape[axis] = slots - entries
        return torch.cat([x, x.new_zeros(shape)], dim=axis)
    old, fresh = min(start, slots), (start + torch.arange(tokens, device=x.device)) % slots
    place = torch.cat([torch.arange(old, device=x.device), fresh])
    shape[axis] = slots
    return x.new_zeros(shape).index_add_(axis, place, x)

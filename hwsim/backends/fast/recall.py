"""How memories answer whole windows in the fast engine: arriving digits times what is held.

In: a recalled train.  Out: sums of segments as exact products of floats, and spikes by compartment.
A window's entries (compiler/netlist/kinds/memory.py) are the slots used before it, then one for
each token: `by_slot` puts them where they are on the chip.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from compiler.netlist.trains import Digits, Graded, Recalled
from las_neuro.integers import WORD_LIMIT

Tensor = torch.Tensor
Segment = tuple[int, int]
EXACT_FLOAT32 = 2**24


@dataclass(frozen=True)
class ProductAxes:
    """How a memory's axes are laid out for products of matrices.

    `over` is summed; the digits lack `free`.  Other axes that the content lacks (queries that share
    their keys) are rows of one product, as tokens are; each entry of the rest has its own product.
    """

    axes: list[str]
    over: str
    free: str
    others: list[str]  # those the content lacks last
    products: int

    @staticmethod
    def of(train: Recalled, axes: list[str], over: str, free: str) -> ProductAxes:
        size = dict(zip(axes, train.content.shape[2:], strict=True))
        others = [axis for axis in axes if axis not in (over, free)]
        others.sort(key=lambda axis: size[axis] == 1)
        return ProductAxes(axes, over, free, others, math.prod(size[axis] for axis in others))

    def order(self) -> list[int]:
        """[batch, tokens, *axes] -> [batch, *others, tokens, over, free]."""
        place = {axis: 2 + i for i, axis in enumerate(self.axes)}
        return [0, *(place[axis] for axis in self.others), 1, place[self.over], place[self.free]]

    def matrix(self, content: Tensor) -> Tensor:
        """[batch, 1, *axes] -> [batch, products, over, free]."""
        x = content.permute(self.order())
        return x.reshape(x.shape[0], self.products, *x.shape[-2:])

    def product(self, plane: Tensor, matrix: Tensor, offset: float = 0.0) -> Tensor:
        """plane [batch, tokens, *axes] times matrix: [batch, tokens, *axes but over] + offset."""
        x = plane.permute(self.order()).squeeze(-1)  # [batch, *others, tokens, over]
        rows = x.reshape(x.shape[0] * self.products, -1, x.shape[-1]).to(matrix.dtype)
        start = matrix.new_full((), offset)
        sums = torch.baddbmm(start, rows, matrix.flatten(0, 1)).reshape(*x.shape[:-1], -1)
        at = {axis: 1 + i for i, axis in enumerate([*self.others, "tokens", self.free])}
        left = [axis for axis in self.axes if axis != self.over]
        return sums.permute(0, at["tokens"], *(at[axis] for axis in left))


def totals(
    train: Recalled,
    layout: ProductAxes,
    segments: list[Segment],
    shift: tuple[int, ...],
    *,
    alone: bool,
) -> list[Tensor]:
    """Each segment's sums over one axis: [batch, tokens, *axes but that one].

    alone: nothing else arrives where these sums do.
    """
    digits, visible = train.digits, train.visible
    by_slots = layout.axes.index(layout.over) == train.slot_axis
    if by_slots and visible is not None:
        digits = _hidden(digits, visible)
    matrix = layout.matrix(train.content)
    if isinstance(digits, Digits):
        digits = _plain(digits)
    by_segment = None
    if alone and isinstance(digits, Digits) and len(segments) > 1:
        by_segment = _at_once(digits, layout, matrix, segments, shift)
    if by_segment is None:
        by_segment = [_segment(digits, layout, matrix, s, shift, train.limit) for s in segments]
    if visible is not None and not by_slots:
        left = [i for i, axis in enumerate(layout.axes) if axis != layout.over]
        seen = visible.squeeze(2 + layout.axes.index(layout.over))
        for sums in by_segment:
            if sums.ndim:
                _hide(sums, seen, 2 + left.index(train.slot_axis))
    return by_segment


def _at_once(
    digits: Digits,
    layout: ProductAxes,
    matrix: Tensor,
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
    most = int(matrix.abs().sum(2).max()) * digits.largest_payload
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
    sums = layout.product(plane, matrix.to(dtype) * unit, half * unit).floor_().to(torch.int32)
    return [sums.new_zeros(())] * (len(segments) - 1) + [sums]


def _segment(
    digits: Digits | Graded,
    layout: ProductAxes,
    matrix: Tensor,
    segment: Segment,
    shift: tuple[int, ...],
    limit: int,
) -> Tensor:
    """One segment's product, in the narrowest type that holds every sum."""
    most = int(digits.value.abs().max()) if isinstance(digits, Graded) else 1
    bound = digits.largest(*segment, shift, most) * limit * matrix.shape[2]
    dtype = torch.float32 if bound < EXACT_FLOAT32 else torch.float64
    sums = layout.product(digits.plane(*segment, shift), matrix.to(dtype))
    return sums.to(torch.int32 if dtype == torch.float32 else torch.int64)


def _plain(digits: Digits) -> Digits:
    """Without payloads where all are 0 or 1."""
    payload = digits.payload
    if payload is None or digits.minus is not None or payload.min() < 0 or payload.max() > 1:
        return digits
    return replace(digits, magnitude=digits.magnitude * payload, payload=None)


def _hidden(digits: Digits | Graded, visible: Tensor) -> Digits | Graded:
    """Digits that reach entries which are not visible to their token answer nothing."""
    if isinstance(digits, Graded):
        return Graded(digits.value * visible)
    minus = digits.minus if digits.minus is None else digits.minus * visible
    return replace(digits, magnitude=digits.magnitude * visible, minus=minus)


def _hide(x: Tensor, visible: Tensor, axis: int) -> None:
    """Silence in place what tokens do not see; all see most entries."""
    some = torch.nonzero(~visible.all(dim=1).reshape(-1)).reshape(-1)
    x, visible = x.movedim(axis, -1), visible.movedim(axis, -1)
    x[..., some] = x[..., some] * visible[..., some]


def spikes(train: Recalled) -> Tensor:
    """By compartment, summed over batch and tokens, [*axes with entries].

    A compartment sends when a digit comes and it holds something it may show.
    """
    sent: Tensor = train.digits.spikes()  # [batch, tokens, *axes]
    entries, visible = 2 + train.slot_axis, train.visible
    if visible is None:
        arrived = sent.sum(dim=1)
    elif sent.shape[entries] > 1:
        arrived = (sent * visible).sum(dim=1)
    else:  # float32 counts to 2**24: the tokens of a window times the digits of a code
        seen = visible.reshape(visible.shape[1], -1).to(torch.float32)
        flat = sent.reshape(*sent.shape[:2], -1).to(torch.float32)
        arrived = torch.einsum("sj,bsr->bjr", seen, flat).to(torch.int64)
        without = sent.shape[2:entries] + sent.shape[entries + 1 :]
        arrived = arrived.reshape(*arrived.shape[:2], *without).movedim(1, entries - 1)
    holding: Tensor = train.content[:, 0] != 0
    return (arrived * holding).sum(dim=0)


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

"""Recalls from memories over whole windows in the fast engine: incoming digits times the content.

Input: a recalled train.  Output: sums of segments, as exact products of floats, and spikes by
compartment.  The entries of a window (compiler/netlist/kinds/memory.py) are the slots used before
it, then one entry for each of its tokens: `by_slot` maps them to the slots on the chip.
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
    """Order of a memory's axes for matrix products.

    over: the axis that is summed.  free: the axis that the digits lack.  Axes that the content
    lacks (queries that share their keys) are rows of a product, as tokens are; along the remaining
    axes each index has its own product, `products` in all.
    """

    axes: list[str]
    over: str
    free: str
    others: list[str]  # all but these two; those that the content lacks come last
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
    """Each segment's sums over the axis `layout.over`: [batch, tokens, *axes but that one].

    shift: of each step of the window.  alone: no other group reaches the same port.
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
        mask = visible.squeeze(2 + layout.axes.index(layout.over))
        for sums in by_segment:
            if sums.ndim:
                _hide(sums, mask, 2 + left.index(train.slot_axis))
    return by_segment


def _at_once(
    digits: Digits,
    layout: ProductAxes,
    matrix: Tensor,
    segments: list[Segment],
    shift: tuple[int, ...],
) -> list[Tensor] | None:
    """All segments in one product; None where a sum of this content might leave its word.

    Cuts round down, the last one to nearest, and a floor inside a floor may be left out:
    floor((floor(x / a) + n) / b) = floor((x + a n) / (a b)).  So the final sum is that of all
    digits plus one half, divided once; it is returned for the last segment, with 0 for the others.
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
    """One segment's product, in the narrowest float type in which every sum is exact."""
    most = int(digits.value.abs().max()) if isinstance(digits, Graded) else 1
    bound = digits.largest(*segment, shift, most) * limit * matrix.shape[2]
    dtype = torch.float32 if bound < EXACT_FLOAT32 else torch.float64
    sums = layout.product(digits.plane(*segment, shift), matrix.to(dtype))
    return sums.to(torch.int32 if dtype == torch.float32 else torch.int64)


def _plain(digits: Digits) -> Digits:
    """The digits without payloads, where all payloads are 0 or 1."""
    payload = digits.payload
    if payload is None or digits.minus is not None or payload.min() < 0 or payload.max() > 1:
        return digits
    return replace(digits, magnitude=digits.magnitude * payload, payload=None)


def _hidden(digits: Digits | Graded, visible: Tensor) -> Digits | Graded:
    """The digits, 0 for entries that are not visible to their token."""
    if isinstance(digits, Graded):
        return Graded(digits.value * visible)
    minus = digits.minus if digits.minus is None else digits.minus * visible
    return replace(digits, magnitude=digits.magnitude * visible, minus=minus)


def _hide(x: Tensor, visible: Tensor, axis: int) -> None:
    """Set entries that are not visible to their token to 0, in place.

    Only entries that some token does not see are touched; these are few.
    """
    hidden = torch.nonzero(~visible.all(dim=1).reshape(-1)).reshape(-1)
    x, visible = x.movedim(axis, -1), visible.movedim(axis, -1)
    x[..., hidden] = x[..., hidden] * visible[..., hidden]


def spikes(train: Recalled) -> Tensor:
    """Spikes by compartment, summed over batch and tokens, [*axes with entries].

    A compartment sends a spike for each digit that arrives, if its content is not 0 and the entry
    is visible to the token.
    """
    digits: Tensor = train.digits.spikes()  # [batch, tokens, *axes]
    entries, visible = 2 + train.slot_axis, train.visible
    if visible is None:
        counts = digits.sum(dim=1)
    elif digits.shape[entries] > 1:
        counts = (digits * visible).sum(dim=1)
    else:  # float32 counts exactly to 2**24, more than tokens of a window times digits of a code
        mask = visible.reshape(visible.shape[1], -1).to(torch.float32)
        flat = digits.reshape(*digits.shape[:2], -1).to(torch.float32)
        counts = torch.einsum("sj,bsr->bjr", mask, flat).to(torch.int64)
        without = digits.shape[2:entries] + digits.shape[entries + 1 :]
        counts = counts.reshape(*counts.shape[:2], *without).movedim(1, entries - 1)
    nonzero: Tensor = train.content[:, 0] != 0
    return (counts * nonzero).sum(dim=0)


def by_slot(x: Tensor, axis: int, slots: int, start: int, tokens: int) -> Tensor:
    """Map entries along an axis to slots, for a window of `tokens` tokens from `start` on.

    Slots not used yet are 0.  Of the entries that share a slot each token sees only one, so their
    values or counts are added.
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

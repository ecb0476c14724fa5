"""How whole windows travel through synapse groups: closed-form trains in, sums of a segment out.

A segment is linear, so its steps collapse into one exact integer product.  Where the compiler
proved the sum below 2**23, float32 products are exact whatever the order of addition (all partial
sums stay below 2**24) and are used as the fastest exact integer product at hand; else float64,
exact below 2**53.  The result is converted back at once: no population ever sees a float.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from compiler.netlist.arrays import WORD_LIMIT
from compiler.netlist.model import (
    Dense,
    Gather,
    Netlist,
    Pattern,
    Population,
    Synapses,
    largest_spikes,
    reach,
)
from compiler.netlist.trains import Digits, Graded, Recalled, Train, view
from hwsim.byte_product import ByteWeights
from las_neuro.errors import NetlistError

Tensor = torch.Tensor
Segment = tuple[int, int]
EXACT_FLOAT32 = 2**24


@dataclass(frozen=True)
class Channel:
    """One synapse group, its arrays on the device."""

    group: Synapses
    source: Population
    target: Population
    unread: tuple[str, ...]  # axes of a memory source that its reader does not know
    bytes: ByteWeights | None  # dense, where 8-bit kernels serve; else
    weights: Tensor | None  # dense: [n_post, n_pre], float32 or float64
    index: Tensor | None
    sign: Tensor | None

    def broadcast(self, train: Train) -> Train:
        """The train as the target's compartments see it, new axes of size 1."""
        return view(train, self._shape(train_shape(train)))

    def totals(self, train: Train, segments: list[Segment], shift: tuple[int, ...]) -> list[Tensor]:
        """One total a segment; a dense group multiplies all segments in one product."""
        if isinstance(train, Digits) and self.bytes is not None:
            found = self.bytes.totals(train, segments, shift)
            leading = train.magnitude.shape[:2]
            return [total.reshape(*leading, *self.target.axes.values()) for total in found]
        if self.weights is None or isinstance(train, Recalled):
            return [self.total(train, segment, shift) for segment in segments]
        planes = torch.stack([train.plane(*segment, shift) for segment in segments])
        flat = planes.reshape(-1, self.weights.shape[1]).to(self.weights.dtype)
        summed = torch.nn.functional.linear(flat, self.weights)
        summed = summed.to(planes.dtype if summed.dtype == torch.float32 else torch.int64)
        return list(summed.reshape(*planes.shape[:3], *self.target.axes.values()))

    def total(self, train: Train, segment: Segment, shift: tuple[int, ...]) -> Tensor:
        """Sum over the steps of weight * payload << shift: [batch, tokens, *target axes]."""
        if isinstance(train, Recalled):
            return self._recalled(train, segment, shift)
        plane: Tensor = train.plane(*segment, shift)
        if self.index is not None and self.sign is not None:
            turned = plane.reshape(*plane.shape[:2], -1)[..., self.index] * self.sign
            return turned.reshape(plane.shape)
        return self._along(plane)

    def _along(self, plane: Tensor) -> Tensor:
        """Sum over the axes the target lacks, size 1 on those the source lacks."""
        lacking = [2 + i for i, axis in enumerate(self.source.axes) if axis not in self.target.axes]
        if lacking:
            plane = plane.sum(dim=lacking)
        kept = [size for size in plane.shape[2:]]
        weight = self._weight
        plane = plane.reshape(*plane.shape[:2], *self._spread(kept))
        return plane if weight == 1 else plane * weight

    @property
    def _weight(self) -> int:
        assert isinstance(self.group.form, Pattern)
        return self.group.form.weight

    def _spread(self, kept: list[int]) -> tuple[int, ...]:
        """Sizes of the target's axes: the kept ones in order, 1 elsewhere."""
        sizes = iter(kept)
        return tuple(next(sizes) if axis in self.source.axes else 1 for axis in self.target.axes)

    def _shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return self._spread(list(shape))

    def _recalled(self, train: Recalled, segment: Segment, shift: tuple[int, ...]) -> Tensor:
        """Digits times content, summed over the axis the target lacks, as one batched product."""
        plane: Tensor = train.digits.plane(*segment, shift)
        axes = list(self.source.axes)
        summed = [axis for axis in axes if axis not in self.target.axes]
        if not summed:  # flags: nothing to add up
            return self._along(train.seen(plane * train.content))
        (over,) = summed
        (free,) = self.unread
        others = [axis for axis in axes if axis not in (over, free)]
        place = {axis: 2 + i for i, axis in enumerate(axes)}
        digits = plane.permute(
            0, *(place[axis] for axis in others), place[free], 1, place[over]
        ).squeeze(1 + len(others))  # [batch, *others, tokens, over]
        content: Tensor = train.content.permute(
            0, 1, *(place[axis] for axis in others), place[over], place[free]
        ).squeeze(1)  # [batch, *others, over, free]
        if train.visible is not None and axes.index(over) == train.slot_axis:
            visible = train.visible.reshape(1, *(1 for _ in others), *_ends(train.visible))
            digits = digits * visible
        largest = train.digits.largest(*segment, shift, 1) * train.limit * content.shape[-2]
        dtype = torch.float32 if largest < EXACT_FLOAT32 else torch.float64
        product = torch.matmul(digits.to(dtype), content.to(dtype))
        product = product.to(plane.dtype if dtype == torch.float32 else torch.int64)
        order = [axis for axis in axes if axis != over]  # [batch, *others, tokens, free] -> order
        back = {axis: 1 + i for i, axis in enumerate(others)} | {free: product.ndim - 1}
        product = product.permute(0, product.ndim - 2, *(back[axis] for axis in order))
        if train.visible is not None and axes.index(over) != train.slot_axis:
            slots = order.index(axes[train.slot_axis])
            shape = [1, train.visible.shape[1]] + [1] * len(order)
            shape[2 + slots] = train.visible.numel() // train.visible.shape[1]
            product = product * train.visible.reshape(shape)
        return product


def _ends(visible: Tensor) -> tuple[int, int]:
    """[1, tokens, 1.., slots, ..1] as (tokens, slots)."""
    return visible.shape[1], visible.numel() // visible.shape[1]


def train_shape(train: Train) -> tuple[int, ...]:
    """Sizes of the feature axes of a train that can be copied on."""
    if isinstance(train, Recalled):
        raise TypeError("a recalled train is summed, never copied on")
    x = train.value if isinstance(train, Graded) else train.magnitude
    return tuple(x.shape[2:])


def channel(net: Netlist, group: Synapses, device: torch.device) -> Channel:
    """Load a group; dense weights as bytes, or in the narrowest float type whose sums are exact."""
    source, target = net.populations[group.source], net.populations[group.target]
    packed = weights = index = sign = None
    if isinstance(group.form, Dense):
        matrix = torch.from_numpy(group.form.weights.load()).to(device)
        safe = bool(target.params.get("safe", 0))
        packed = _pack(group, matrix, source, target) if safe else None
        if packed is None:
            weights = matrix.to(torch.float32 if safe else torch.float64)
    elif isinstance(group.form, Gather):
        index = torch.from_numpy(group.form.index.astype("int64")).to(device)
        sign = torch.from_numpy(group.form.weight.astype("int64")).to(device)
    unread: tuple[str, ...] = ()
    if source.kind == "memory":
        reader = next(g.source for g in net.into(source.name) if g.port == "read")
        unread = tuple(a for a in source.axes if a not in net.populations[reader].axes)
    return Channel(group, source, target, unread, packed, weights, index, sign)


def _pack(
    group: Synapses, matrix: Tensor, source: Population, target: Population
) -> ByteWeights | None:
    """Bytes for an encoder's group, after proving once more that its sums are safe."""
    largest = reach(matrix.cpu().numpy(), source)
    if largest << (1 + max(target.params["shift"])) > WORD_LIMIT:
        raise NetlistError(
            f"{group.name}: sums marked safe can reach beyond {WORD_LIMIT}",
            "compile the model again",
        )
    return ByteWeights.of(matrix, torch.from_numpy(largest_spikes(source) > 1), largest)


def spikes_by_compartment(train: Train, population: Population) -> Tensor:
    """Spikes summed over batch and tokens, [n] of the whole population."""
    if isinstance(train, Recalled):
        found = _recalled_spikes(train)
    else:
        found = train.spikes().sum(dim=(0, 1))
    return _whole(found, population)


def _recalled_spikes(train: Recalled) -> Tensor:
    """A compartment sends when a digit comes and it holds something it may show."""
    sent: Tensor = train.digits.spikes()  # [batch, tokens, *axes]
    slots = 2 + train.slot_axis
    if train.visible is None:
        arrived = sent.sum(dim=1)
    elif sent.shape[slots] == 1:
        tokens, count = _ends(train.visible)
        flat = sent.reshape(sent.shape[0], tokens, -1).to(torch.float64)  # exact: counts < 2**53
        seen = train.visible.reshape(tokens, count).to(torch.float64)
        arrived = torch.einsum("sj,bsr->bjr", seen, flat).to(torch.int64)
        without = sent.shape[2:slots] + sent.shape[slots + 1 :]
        arrived = arrived.reshape(sent.shape[0], count, *without).movedim(1, slots - 1)
    else:
        arrived = (sent * train.visible).sum(dim=1)
    holding: Tensor = train.content[:, 0] != 0
    return (arrived * holding).sum(dim=0)


def _whole(found: Tensor, population: Population) -> Tensor:
    """Counts by compartment, copied along lazy axes and 0 in slots not used yet."""
    sizes = list(population.axes.values())
    for i, (axis, size) in enumerate(population.axes.items()):
        if axis == "j" and found.shape[i] != size and found.shape[i] > 0:
            shape = list(found.shape)
            shape[i] = size - found.shape[i]
            found = torch.cat([found, found.new_zeros(shape)], dim=i)
    return found.expand(sizes or ()).reshape(-1)

"""Delivery of whole windows through synapse groups: from closed-form trains to sums of segments.

Within a segment (the steps between two cuts) all is linear, so its steps are one exact integer
product.  Where the compiler proved the sum below 2**23, float32 products are exact in whatever
order the terms are added (all partial sums stay below 2**24), and are the fastest exact integer
product available; elsewhere float64 is used, exact below 2**53.  The result is converted to
integers at once: no population ever receives a float.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from compiler.netlist.model import (
    Dense,
    Gather,
    Pattern,
    Population,
    Synapses,
)
from compiler.netlist.reach import dense_reach, digit_widths, largest_spikes, volley_reach
from compiler.netlist.trains import Digits, Graded, Recalled, Train, Volley, view
from compiler.netlist.wiring import Wiring
from hwsim.backends.fast import recall
from hwsim.backends.fast.byte_product import ByteWeights
from las_neuro.errors import NetlistError
from las_neuro.integers import WORD_BITS, WORD_LIMIT

Tensor = torch.Tensor
Segment = tuple[int, int]


@dataclass(frozen=True)
class Channel:
    """One synapse group with its arrays on the device."""

    group: Synapses
    source: Population
    target: Population
    alone: bool  # no other group reaches the same port
    unread: tuple[str, ...]  # axes of a memory source that the population reading it lacks
    bytes: ByteWeights | None  # of a dense group, where 8-bit kernels are exact
    weights: Tensor | None  # of any other dense group: [n_post, n_pre], float32 or float64
    index: Tensor | None
    sign: Tensor | None

    def broadcast(self, train: Train) -> Train:
        """The train with the target's axes; axes that the source lacks have size 1."""
        return view(train, self._target_sizes(list(train_shape(train))))

    def totals(self, train: Train, segments: list[Segment], shift: tuple[int, ...]) -> list[Tensor]:
        """One total per segment; a dense group multiplies all segments in one product.

        shift: of each step of the window.  Each total is [batch, tokens, *target axes].
        """
        if isinstance(train, Digits) and self.bytes is not None:
            sums = self.bytes.totals(train, segments, shift)
            leading = train.magnitude.shape[:2]
            return [total.reshape(*leading, *self.target.axes.values()) for total in sums]
        if isinstance(train, Recalled):
            return self._recalled(train, segments, shift)
        if self.weights is None:
            return [self.total(train, segment, shift) for segment in segments]
        planes = torch.stack([train.plane(*segment, shift) for segment in segments])
        flat = planes.reshape(-1, self.weights.shape[1]).to(self.weights.dtype)
        product = torch.nn.functional.linear(flat, self.weights)
        product = product.to(planes.dtype if product.dtype == torch.float32 else torch.int64)
        return list(product.reshape(*planes.shape[:3], *self.target.axes.values()))

    def total(self, train: Train, segment: Segment, shift: tuple[int, ...]) -> Tensor:
        """One segment's sum of weight * payload << shift: [batch, tokens, *target axes]."""
        if isinstance(train, Recalled):
            return self._recalled(train, [segment], shift)[0]
        plane: Tensor = train.plane(*segment, shift)
        if self.index is not None and self.sign is not None:
            values = plane.reshape(*plane.shape[:2], -1)[..., self.index] * self.sign
            return values.reshape(*plane.shape[:2], *self.target.axes.values())
        return self._along(plane)

    def _along(self, plane: Tensor) -> Tensor:
        """Sum over the axes that the target lacks; size 1 on those that the source lacks."""
        over = [2 + i for i, axis in enumerate(self.source.axes) if axis not in self.target.axes]
        if over:
            plane = plane.sum(dim=over)
        weight = self._weight
        plane = plane.reshape(*plane.shape[:2], *self._target_sizes(list(plane.shape[2:])))
        return plane if weight == 1 else plane * weight

    @property
    def _weight(self) -> int:
        assert isinstance(self.group.form, Pattern)
        return self.group.form.weight

    def _target_sizes(self, shared: list[int]) -> tuple[int, ...]:
        """Sizes of the target's axes: those shared with the source in order, 1 elsewhere."""
        sizes = iter(shared)
        return tuple(next(sizes) if axis in self.source.axes else 1 for axis in self.target.axes)

    def _recalled(
        self, train: Recalled, segments: list[Segment], shift: tuple[int, ...]
    ) -> list[Tensor]:
        """Digits times content, summed over the axis that the target lacks."""
        axes = list(self.source.axes)
        reduced = [axis for axis in axes if axis not in self.target.axes]
        if not reduced:  # flags of slots are not summed
            planes = (train.digits.plane(*segment, shift) for segment in segments)
            return [self._along(train.masked(plane * train.content)) for plane in planes]
        (over,), (free,) = reduced, self.unread
        layout = recall.ProductAxes.of(train, axes, over, free)
        return recall.totals(train, layout, segments, shift, alone=self.alone)


def train_shape(train: Train) -> tuple[int, ...]:
    """Sizes of a train's feature axes; TypeError for a recalled train, which can only be summed."""
    if isinstance(train, Recalled):
        raise TypeError("a recalled train is summed, never copied on")
    if isinstance(train, Volley):
        return tuple(train.payloads[0].shape[2:])
    x = train.value if isinstance(train, Graded) else train.magnitude
    return tuple(x.shape[2:])


def channel(wiring: Wiring, group: Synapses, device: torch.device) -> Channel:
    """Load a synapse group.

    Dense weights are packed as bytes, or held in the narrowest float type whose sums are exact.
    Raises NetlistError where sums marked safe can exceed the word.
    """
    net, (source, target) = wiring.net, wiring.ends(group)
    packed = weights = index = sign = None
    if isinstance(group.form, Dense):
        matrix = torch.from_numpy(group.form.weights.load()).to(device)
        safe = bool(target.params.get("safe", 0))
        packed = _pack(wiring, group, matrix) if safe else None
        if packed is None:
            weights = matrix.to(torch.float32 if safe else torch.float64)
    elif isinstance(group.form, Gather):
        index = torch.from_numpy(group.form.index.astype("int64")).to(device)
        sign = torch.from_numpy(group.form.weight.astype("int64")).to(device)
    unread: tuple[str, ...] = ()
    if port := source.does.recalled_by:
        reader = net.populations[wiring.source(source.name, port)]
        unread = tuple(a for a in source.axes if a not in reader.axes)
    alone = len(wiring.into(target.name, group.port)) == 1
    return Channel(group, source, target, alone, unread, packed, weights, index, sign)


def _pack(wiring: Wiring, group: Synapses, matrix: Tensor) -> ByteWeights | None:
    """A group's weights as bytes, or None; raises NetlistError where its sums are not safe."""
    source, target = wiring.ends(group)
    if (volley := volley_reach(wiring, group)) is not None:
        _prove(group, volley)
        return None
    largest, widths = dense_reach(matrix.cpu().numpy(), source), digit_widths(wiring, source.name)
    ends = [a + b for a, b in zip(widths, target.params["shift"], strict=False)]
    _prove(group, largest << max(ends, default=WORD_BITS))
    return ByteWeights.of(matrix, torch.from_numpy(largest_spikes(source) > 1), largest)


def _prove(group: Synapses, largest: int) -> None:
    if largest > WORD_LIMIT:
        raise NetlistError(
            f"{group.name}: sums marked safe can reach beyond {WORD_LIMIT}",
            "compile the model again",
        )


def spikes_by_compartment(train: Train, population: Population, start: int) -> Tensor:
    """Spikes summed over batch and the tokens from `start` on, [n] of the whole population."""
    if isinstance(train, Recalled):
        spikes, tokens = recall.spikes(train), train.digits.tokens
    else:
        spikes, tokens = train.spikes().sum(dim=(0, 1)), train.tokens
    place = population.slot_axis
    if place is not None:
        slots = list(population.axes.values())[place]
        spikes = recall.by_slot(spikes, place, slots, start, tokens)
    return spikes.expand(list(population.axes.values()) or ()).reshape(-1)

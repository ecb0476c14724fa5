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
    Written,
)
from compiler.netlist.reach import dense_reach, digit_widths, largest_spikes, volley_reach
from compiler.netlist.trains import Digits, Train
from compiler.netlist.wiring import Wiring
from hwsim.backends.fast.byte_product import ByteWeights
from hwsim.backends.fast.written import Entries, ProductAxes, by_slot, passed_on, totals
from las_neuro.errors import NetlistError
from las_neuro.integers import WORD_BITS, WORD_LIMIT

Tensor = torch.Tensor
Segment = tuple[int, int]


@dataclass(frozen=True)
class Channel:
    """One synapse group with its arrays on the device."""

    group: Synapses
    number: int  # of the group in the netlist
    source: Population
    target: Population
    alone: bool  # no other group reaches the same port
    layout: ProductAxes | None  # of written weights that are summed
    bytes: ByteWeights | None  # dense, where 8-bit kernels serve; else
    weights: Tensor | None  # dense: [n_post, n_pre], float32 or float64
    index: Tensor | None
    sign: Tensor | None

    def totals(
        self,
        train: Train,
        segments: list[Segment],
        shift: tuple[int, ...],
        entries: Entries | None = None,
    ) -> list[Tensor]:
        """One total a segment; a dense group multiplies all segments in one product.

        entries: what written synapses hold.
        """
        if entries is not None:
            return self._through(entries, train, segments, shift)
        if isinstance(train, Digits) and self.bytes is not None:
            sums = self.bytes.totals(train, segments, shift)
            leading = train.magnitude.shape[:2]
            return [total.reshape(*leading, *self.target.axes.values()) for total in sums]
        if self.weights is None:
            return [self._sparse(train, segment, shift) for segment in segments]
        planes = torch.stack([train.plane(*segment, shift) for segment in segments])
        flat = planes.reshape(-1, self.weights.shape[1]).to(self.weights.dtype)
        product = torch.nn.functional.linear(flat, self.weights)
        product = product.to(planes.dtype if product.dtype == torch.float32 else torch.int64)
        return list(product.reshape(*planes.shape[:3], *self.target.axes.values()))

    def _through(
        self, entries: Entries, train: Train, segments: list[Segment], shift: tuple[int, ...]
    ) -> list[Tensor]:
        form, target = self.group.form, self.target
        assert isinstance(form, Written)
        if self.layout is not None:
            return totals(
                train, entries, self.layout, form, target, segments, shift, alone=self.alone
            )
        ends = self.source, target
        return [passed_on(train, entries, form, ends, segment, shift) for segment in segments]

    def _sparse(self, train: Train, segment: Segment, shift: tuple[int, ...]) -> Tensor:
        """Sum over the steps of weight * payload << shift: [batch, tokens, *target axes]."""
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


def channel(wiring: Wiring, number: int, device: torch.device) -> Channel:
    """Load a group; dense weights as bytes, or in the narrowest float type whose sums are exact."""
    group: Synapses = wiring.net.synapses[number]
    source, target = wiring.ends(group)
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
    alone = len(wiring.into(target.name, group.port)) == 1
    form, layout = group.form, None
    if isinstance(form, Written):
        layout = ProductAxes.of(source, target, form)
    return Channel(group, number, source, target, alone, layout, packed, weights, index, sign)


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
    spikes: Tensor = train.spikes().sum(dim=(0, 1))
    tokens = train.tokens
    place = population.slot_axis
    if place is not None:
        slots = list(population.axes.values())[place]
        spikes = by_slot(spikes, place, slots, start, tokens)
    return spikes.expand(list(population.axes.values()) or ()).reshape(-1)  # lazy axes

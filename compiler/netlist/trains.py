"""Spike trains in closed form: what a population sends over its steps, without the loop.

Shapes: [batch, tokens, *axes], where an axis a value does not depend on may have size 1.  `at(k)`
is the payload of the population's k-th step; `plane` sums a run of steps as a receiver does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from compiler.netlist.arrays import Array, ones


@dataclass(frozen=True)
class Graded:
    """One graded spike, sent at the last step; a zero is silence."""

    value: Array  # [batch, tokens, *axes]

    def at(self, k: int, steps: int) -> Array:
        return self.value if k == steps - 1 else self.value * 0

    def plane(self, lo: int, hi: int, shift: tuple[int, ...]) -> Array:
        """The payload as a receiver counts it that takes steps lo..hi of a one-step train."""
        return self.value << shift[0] if lo == 0 else self.value * 0

    def spikes(self) -> Array:
        return (self.value != 0) * 1

    def largest(self, lo: int, hi: int, shift: tuple[int, ...], limit: int) -> int:
        return limit


@dataclass(frozen=True)
class Digits:
    """Binary digits of a magnitude, one a step, as spikes of one payload.

    positions[k] is the bit sent at step k.
    """

    magnitude: Array  # [batch, tokens, *axes], >= 0
    payload: Array | None  # of each spike: sign, times 2**outlier_shift of an outlier; None: all 1
    positions: tuple[int, ...]
    largest_payload: int = 1

    def _sent(self, digits: Array) -> Array:
        return digits if self.payload is None else digits * self.payload

    def at(self, k: int, steps: int) -> Array:
        return self._sent((self.magnitude >> self.positions[k]) & 1)

    def plane(self, lo: int, hi: int, shift: tuple[int, ...]) -> Array:
        """sum over steps k in lo..hi of digit[k] << shift[k]."""
        offsets = {shift[k] - self.positions[k] for k in range(lo, hi)}
        if len(offsets) != 1:
            raise ValueError(f"steps {lo}..{hi} do not weigh the digits by their position")
        offset = offsets.pop()
        low = min(self.positions[lo:hi])
        part = (self.magnitude >> low) & (2 ** (hi - lo) - 1)
        return self._sent(part << (low + offset) if low + offset else part)

    def largest(self, lo: int, hi: int, shift: tuple[int, ...], limit: int) -> int:
        """Largest |plane| any input can give."""
        return sum(1 << shift[k] for k in range(lo, hi)) * self.largest_payload

    def spikes(self) -> Array:
        return ones(self.magnitude)


@dataclass(frozen=True)
class Recalled:
    """What memory compartments send: each arriving digit times the stored content.

    digits' arrays have size 1 on the axis the reader does not know, content on none of its own;
    since[j]: the first token that sees slot j, so slot j is silent before it; None: all see all.
    """

    digits: Digits | Graded
    content: Array  # [batch, 1, *axes]
    visible: Array | None  # [1, tokens, *axes] of 0/1, size 1 but on tokens and slots
    limit: int  # largest |content|
    slot_axis: int  # which of *axes are the slots

    def at(self, k: int, steps: int) -> Array:
        sent = self.digits.at(k, steps) * self.content
        return sent if self.visible is None else sent * self.visible

    def seen(self, plane: Array) -> Array:
        return plane if self.visible is None else plane * self.visible

    def spikes(self) -> Array:
        sent = self.digits.spikes() * (self.content != 0)
        return sent if self.visible is None else sent * self.visible


Train = Graded | Digits | Recalled


def view(train: Train, shape: tuple[int, ...]) -> Train:
    """The train with its feature axes reshaped (a broadcast adds axes of size 1)."""

    def reshape(x: Array | None) -> Array | None:
        return x if x is None else x.reshape(tuple(x.shape[:2]) + shape)

    if isinstance(train, Graded):
        return Graded(reshape(train.value))
    if isinstance(train, Digits):
        return replace(
            train,
            magnitude=reshape(train.magnitude),
            payload=reshape(train.payload),
        )
    raise TypeError("a recalled train is summed, never copied on")


def narrow(train: Train, word: Any) -> Train:
    """The train's torch arrays as integers of type `word`; a recalled train is narrow already."""
    if isinstance(train, Graded):
        return Graded(train.value.to(word))
    if isinstance(train, Digits):
        return replace(
            train,
            magnitude=train.magnitude.to(word),
            payload=train.payload if train.payload is None else train.payload.to(word),
        )
    return train

"""Spike trains in closed form: all spikes that a population sends in a window, without a loop.

Shapes: [batch, tokens, *axes], where an axis may have size 1 if the value does not depend on it.
`at(k, steps)` is the payload of the k-th of `steps` steps at which the population sends;
`plane(lo, hi, shift)` is the sum over steps lo .. hi as a receiver with these shifts computes it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from las_neuro.integers import Array, ones


@dataclass(frozen=True)
class Graded:
    """One graded spike, sent at the last step; a zero is silence."""

    value: Array  # [batch, tokens, *axes]

    @property
    def tokens(self) -> int:
        return int(self.value.shape[1])

    def at(self, k: int, steps: int) -> Array:
        return self.value if k == steps - 1 else self.value * 0

    def plane(self, lo: int, hi: int, shift: tuple[int, ...]) -> Array:
        """The shifted payload if the step of this one-step train is in lo .. hi, else 0."""
        return self.value << shift[0] if lo == 0 else self.value * 0

    def spikes(self) -> Array:
        return (self.value != 0) * 1

    def largest(self, lo: int, hi: int, shift: tuple[int, ...], limit: int) -> int:
        return limit


@dataclass(frozen=True)
class Digits:
    """A number sent in digits, `digit_bits` binary digits per step.

    positions[k] is the position of the lowest binary digit sent at step k.  A signed-digit code is
    the difference of two magnitudes without a common digit, `magnitude` and `minus`.
    """

    magnitude: Array  # [batch, tokens, *axes], >= 0
    payload: Array | None  # of digit 1: sign, times 2**outlier_shift for outliers; None: all 1
    positions: tuple[int, ...]
    largest_payload: int = 1
    digit_bits: int = 1
    minus: Array | None = None  # [batch, tokens, *axes], >= 0; None: no digit is negative

    @property
    def tokens(self) -> int:
        return int(self.magnitude.shape[1])

    def bits(self, low: int, count: int) -> Array:
        """Value of `count` binary digits from position `low` up, times the payload of digit 1."""
        mask = 2**count - 1
        part = (self.magnitude >> low) & mask
        if self.minus is not None:
            part = part - ((self.minus >> low) & mask)
        return part if self.payload is None else part * self.payload

    def at(self, k: int, steps: int) -> Array:
        return self.bits(self.positions[k], self.digit_bits)

    def low(self, lo: int, hi: int, shift: tuple[int, ...]) -> tuple[int, int]:
        """Lowest position in steps lo .. hi, and its shift: that digit counts 2**shift payloads.

        Raises ValueError where shifts do not follow the positions.
        """
        offsets = {shift[k] - self.positions[k] for k in range(lo, hi)}
        if len(offsets) != 1:
            raise ValueError(f"steps {lo}..{hi} do not weigh the digits by their position")
        lowest = min(self.positions[lo:hi])
        return lowest, lowest + offsets.pop()

    def plane(self, lo: int, hi: int, shift: tuple[int, ...]) -> Array:
        """Sum over steps k in lo .. hi of digit[k] << shift[k]."""
        lowest, up = self.low(lo, hi, shift)
        part = self.bits(lowest, (hi - lo) * self.digit_bits)
        return part << up if up else part

    def largest(self, lo: int, hi: int, shift: tuple[int, ...], limit: int) -> int:
        """Largest |plane| that any input can give."""
        digit = (2**self.digit_bits - 1) * self.largest_payload
        return sum(digit << shift[k] for k in range(lo, hi))

    def spikes(self) -> Array:
        """Number of spikes: of digits that are not 0, or of a graded code's groups of digits."""
        bits = self.magnitude if self.minus is None else self.magnitude | self.minus
        if self.digit_bits == 1:
            return ones(bits)
        count = bits * 0
        for position in self.positions:
            count = count + ((bits >> position) & (2**self.digit_bits - 1) != 0)
        return count


@dataclass(frozen=True)
class Volley:
    """Spikes given step by step, all of equal weight at the receiver."""

    payloads: tuple[Array, ...]  # [batch, tokens, *axes] of each step

    @property
    def tokens(self) -> int:
        return int(self.payloads[0].shape[1])

    def at(self, k: int, steps: int) -> Array:
        return self.payloads[k]

    def plane(self, lo: int, hi: int, shift: tuple[int, ...]) -> Array:
        """Sum over steps k in lo .. hi of payload[k] << shift[k]."""
        total = self.payloads[lo] << shift[lo]
        for k in range(lo + 1, hi):
            total = total + (self.payloads[k] << shift[k])
        return total

    def spikes(self) -> Array:
        count = (self.payloads[0] != 0) * 1
        for payload in self.payloads[1:]:
            count = count + (payload != 0)
        return count


Train = Graded | Digits | Volley


def view(train: Train, shape: tuple[int, ...]) -> Train:
    """The train with its feature axes in another shape, such as with new axes of size 1."""

    def reshape(x: Array | None) -> Array | None:
        return x if x is None else x.reshape(tuple(x.shape[:2]) + shape)

    if isinstance(train, Graded):
        return Graded(reshape(train.value))
    if isinstance(train, Digits):
        return replace(
            train,
            magnitude=reshape(train.magnitude),
            payload=reshape(train.payload),
            minus=reshape(train.minus),
        )
    return Volley(tuple(reshape(sent) for sent in train.payloads))


def narrow(train: Train, word: Any) -> Train:
    """The train's torch arrays as integers of type `word`."""
    if isinstance(train, Graded):
        return Graded(train.value.to(word))
    if isinstance(train, Digits):
        return replace(
            train,
            magnitude=train.magnitude.to(word),
            payload=train.payload if train.payload is None else train.payload.to(word),
            minus=train.minus if train.minus is None else train.minus.to(word),
        )
    return Volley(tuple(sent.to(word) for sent in train.payloads))

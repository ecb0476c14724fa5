"""Spike trains in closed form: what a population sends over its steps, without the loop.

Shapes: [batch, tokens, *axes], where an axis a value does not depend on may have size 1.  `at(k)`
is the payload of the population's k-th step; `plane` sums a run of steps as a receiver does.
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
        """The payload as a receiver counts it that takes steps lo..hi of a one-step train."""
        return self.value << shift[0] if lo == 0 else self.value * 0

    def spikes(self) -> Array:
        return (self.value != 0) * 1

    def largest(self, lo: int, hi: int, shift: tuple[int, ...], limit: int) -> int:
        return limit


@dataclass(frozen=True)
class Digits:
    """Digits of a number, a few binary ones each step, as spikes of one payload.

    positions[k] is the lowest of the `digit_bits` binary digits sent at step k.  A signed-digit
    code is the difference of two magnitudes that share no digit, `magnitude` and `minus`.
    """

    magnitude: Array  # [batch, tokens, *axes], >= 0
    payload: Array | None  # of digit 1: sign, times 2**outlier_shift of an outlier; None: all 1
    positions: tuple[int, ...]
    largest_payload: int = 1
    digit_bits: int = 1
    minus: Array | None = None  # [batch, tokens, *axes], >= 0; None: no digit is negative

    @property
    def tokens(self) -> int:
        return int(self.magnitude.shape[1])

    def bits(self, low: int, count: int) -> Array:
        """Signed value of `count` binary digits from `low` up, the first counting payload."""
        mask = 2**count - 1
        part = (self.magnitude >> low) & mask
        if self.minus is not None:
            part = part - ((self.minus >> low) & mask)
        return part if self.payload is None else part * self.payload

    def at(self, k: int, steps: int) -> Array:
        return self.bits(self.positions[k], self.digit_bits)

    def low(self, lo: int, hi: int, shift: tuple[int, ...]) -> tuple[int, int]:
        """Lowest binary digit of steps lo..hi, and what it counts: 2**(the second) payloads."""
        offsets = {shift[k] - self.positions[k] for k in range(lo, hi)}
        if len(offsets) != 1:
            raise ValueError(f"steps {lo}..{hi} do not weigh the digits by their position")
        lowest = min(self.positions[lo:hi])
        return lowest, lowest + offsets.pop()

    def plane(self, lo: int, hi: int, shift: tuple[int, ...]) -> Array:
        """sum over steps k in lo..hi of digit[k] << shift[k]."""
        lowest, up = self.low(lo, hi, shift)
        part = self.bits(lowest, (hi - lo) * self.digit_bits)
        return part << up if up else part

    def largest(self, lo: int, hi: int, shift: tuple[int, ...], limit: int) -> int:
        """Largest |plane| any input can give."""
        digit = (2**self.digit_bits - 1) * self.largest_payload
        return sum(digit << shift[k] for k in range(lo, hi))

    def spikes(self) -> Array:
        """Digits that are not 0; the spikes of a graded code are its non-zero groups of bits."""
        bits = self.magnitude if self.minus is None else self.magnitude | self.minus
        if self.digit_bits == 1:
            return ones(bits)
        count = bits * 0
        for position in self.positions:
            count = count + ((bits >> position) & (2**self.digit_bits - 1) != 0)
        return count


@dataclass(frozen=True)
class Volley:
    """Spikes listed step by step, all of them counting alike."""

    sent: tuple[Array, ...]  # a step each: payloads [batch, tokens, *axes]

    @property
    def tokens(self) -> int:
        return int(self.sent[0].shape[1])

    def at(self, k: int, steps: int) -> Array:
        return self.sent[k]

    def plane(self, lo: int, hi: int, shift: tuple[int, ...]) -> Array:
        """sum over steps k in lo..hi of payload[k] << shift[k]."""
        total = self.sent[lo] << shift[lo]
        for k in range(lo + 1, hi):
            total = total + (self.sent[k] << shift[k])
        return total

    def spikes(self) -> Array:
        count = (self.sent[0] != 0) * 1
        for payload in self.sent[1:]:
            count = count + (payload != 0)
        return count


Train = Graded | Digits | Volley


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
            minus=reshape(train.minus),
        )
    return Volley(tuple(reshape(sent) for sent in train.sent))


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
    return Volley(tuple(sent.to(word) for sent in train.sent))

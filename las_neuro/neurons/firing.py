"""Firing neurons: the spike codes of systems other than LAS, given by a neuron's dynamics.

A neuron is a table of thresholds theta[t], resets reset[t] and spike values send[t]; compartments
of kind `fire` run it.  All spikes of a value add up: value = unit * sum_t payload[t].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from las_neuro.integers import Array, namespace

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

FINE = 1 << 12  # potential units of an IF neuron's threshold
LEAK = 0.25  # of SpikeLM's potentials, from one repetition to the next
ZERO = np.zeros(1, np.int64)


@dataclass(frozen=True)
class Firing:
    """One encoder's neurons.

    unit: what payload 1 stands for, in a channel of spread 1.  grain: potential units per unit.
    low, high: the value's range in potential units, [1] or [n].  theta, reset, send: of each step.
    offset: added to the initial potential, [1] or [n].  level: most quanta in one spike; most: the
    quanta that a neuron sends from that level on.  drive: the value is added at every step, else
    once.  signed: the neuron codes magnitudes, its payloads take the value's sign.  strict: it
    fires above its threshold only.  lift: a channel's spikes count 2**lift, [n].  spread: each
    channel's unit divided by `unit`, [n].
    """

    name: str
    unit: float
    grain: float
    low: Ints
    high: Ints
    theta: tuple[int, ...]
    reset: tuple[int, ...]
    send: tuple[int, ...]
    offset: Ints
    level: int = 1
    most: int = 1
    drive: bool = False
    signed: bool = True
    strict: bool = False
    lift: Ints | None = None
    spread: Doubles | None = None

    @property
    def steps(self) -> int:
        return len(self.theta)

    @property
    def digits(self) -> int:
        """Most spikes of a value: the length of its train."""
        return self.steps

    @property
    def step(self) -> float | Doubles:
        """What payload 1 stands for, by channel, without its lift."""
        wide = 1.0 if self.spread is None else self.spread
        return self.unit * wide

    @property
    def factor(self) -> float | Doubles:
        """Potential units for 1 in the model's own numbers, by channel."""
        lift = 0 if self.lift is None else self.lift
        return self.grain / (self.step * np.exp2(lift))

    def __str__(self) -> str:
        lifted = "" if self.lift is None else f" lifts {int((self.lift > 0).sum())}"
        return f"{self.name} T={self.steps} unit={self.unit:.6g} level={self.level}{lifted}"


def fire(code: Firing, x: Doubles) -> Ints:
    """Payloads [T, .., n] for values [.., n]: what the compartment kind `fire` sends."""
    quanta, channel = _quanta(code, x)
    return np.asarray([q * send for q, send in zip(quanta, code.send, strict=True)]) * channel


def decoded(code: Firing, x: Doubles) -> Doubles:
    """What receivers obtain for values [.., n], in the model's own numbers."""
    quanta, channel = _quanta(code, x)
    total = sum(q * send for q, send in zip(quanta, code.send, strict=True))
    return np.asarray(total * channel * code.step)


def _quanta(code: Firing, x: Doubles) -> tuple[list[Ints], Ints]:
    """How often each step's payload is sent, and each value's sign with its channel's lift."""
    q = np.floor(x * code.factor + 0.5).astype(np.int64)
    channel, held = np.sign(q) if code.signed else np.ones_like(q), np.clip(q, code.low, code.high)
    value = np.abs(held) if code.signed else held
    steps: list[Ints] = []
    v = value + code.offset - code.strict
    for theta, reset in zip(code.theta, code.reset, strict=True):
        if steps and code.drive:
            v += value
        count = quanta(v, theta, code.level, code.most)
        v -= count * reset
        steps.append(count)
    return steps, channel if code.lift is None else channel << code.lift


def quanta(v: Array, theta: int, level: int, most: int) -> Array:
    """Quanta that potentials v send at a threshold: whole thetas, but `most` from `level` on.

    A negative threshold is reached by potentials at or below it.  Arrays of numpy or torch; the
    compartment kind `fire` runs this same function.
    """
    xp = namespace(v)
    if level == 1:  # one or none: no division, which is slow
        return xp.where(v >= theta if theta > 0 else v <= theta, v * 0 + most, v * 0)
    whole = v // theta
    return xp.where(whole >= level, whole * 0 + most, xp.clip(whole, 0, None))


def rate(threshold: Doubles, initial: Doubles, steps: int) -> Firing:
    """IF neurons of FAS (arXiv 2502.04405): mem = m0 thr; mem += x; fire at thr, subtract thr.

    threshold, initial (m0, a share of it): [n] or [1].  Spikes stand for threshold / steps, so that
    a window's sum is the mean that the paper's code takes over its steps.
    """
    unit = float(threshold.max()) / steps
    offset = np.rint(initial * FINE).astype(np.int64)
    return Firing(
        "if",
        unit,
        FINE / steps,
        ZERO,
        np.array([FINE]),
        (FINE,) * steps,
        (FINE,) * steps,
        (1,) * steps,
        offset,
        drive=True,
        signed=False,
        spread=threshold / threshold.max(),
    )


def graded(
    unit: float,
    high: Ints,
    steps: int,
    level: int,
    *,
    low: Ints | None = None,
    lift: Ints | None = None,
    spread: Doubles | None = None,
    published: bool = False,
) -> Firing:
    """GIF neurons of SpikeLLM (arXiv 2407.04752): up to `level` quanta in each of `steps` spikes.

    high, low: the range in quanta; low is -high if it is left out.  level 1: the ternary count of
    SDLLM (arXiv 2604.16475), a spike of 1 or -1 per unit.  published: a neuron with `level` quanta
    sends level - 1, as in the paper's code, so that the highest codes are too small.
    """
    return Firing(
        "gif" if level > 1 else "count",
        unit,
        1.0,
        -high if low is None else low,
        high,
        (1,) * steps,
        (1,) * steps,
        (1,) * steps,
        ZERO,
        level,
        level - 1 if published and level > 1 else level,
        lift=lift,
        spread=spread,
    )


def twos_complement(
    unit: float, bits: int, *, lift: Ints | None = None, spread: Doubles | None = None
) -> Firing:
    """Two's complement of a count, top bit first (Int2Spike, arXiv 2509.05276).

    The sign bit counts -2**(bits - 1): its threshold of -1 makes it fire for values below 0, and
    its reset leaves the rest for the other bits.
    """
    most = 1 << (bits - 1)
    below = powers(2.0, bits - 1)
    return Firing(
        "two's complement",
        unit,
        1.0,
        np.array([-most]),
        np.array([most - 1]),
        (-1, *below),
        (-most, *below),
        (-most, *below),
        ZERO,
        signed=False,
        lift=lift,
        spread=spread,
    )


def phase(
    theta: float,
    values: tuple[int, ...],
    *,
    lift: Ints | None = None,
    spread: Doubles | None = None,
    published: bool = False,
) -> Firing:
    """Few-spikes neurons (arXiv 2002.00860) whose theta = reset = d = values, largest first.

    values 2**(T-1) .. 1 are LAS's (arXiv 2505.09659), except for the offset: half a last place, so
    that values are rounded.  published: no offset, and a neuron fires only above its threshold.
    theta: the largest magnitude that has a code, with a spike in every step; 2**lift times that in
    a channel with a lift.
    """
    fine = 1 << 4  # potential units of payload 1: rounding takes place in the offset
    top = sum(values)
    return Firing(
        "phase",
        theta / top,
        float(fine),
        np.array([-top * fine - published]),
        np.array([top * fine + published]),
        tuple(fine * value for value in values),
        tuple(fine * value for value in values),
        values,
        np.array([0 if published else fine // 2]),
        strict=published,
        lift=lift,
        spread=spread,
    )


def powers(base: float, steps: int) -> tuple[int, ...]:
    """Spike values, largest first: powers of the base as integers."""
    return tuple(int(value) for value in np.rint(base ** np.arange(steps - 1, -1, -1.0)))


def elastic(alpha: float) -> Firing:
    """SpikeLM's neuron (arXiv 2406.03287), one repetition: alpha * clip(round(x / alpha), -1, 1).

    The paper's code rounds halves to even, so a neuron at exactly half its amplitude is silent.
    """
    grain = 1 << 15  # potential units of alpha: as fine as a compartment's multiplier
    half, bound = grain // 2, np.array([1 << 22])  # larger potentials fire as these do
    return Firing("elastic", alpha, grain, -bound, bound, (half,), (half,), (1,), ZERO, strict=True)


def count_spikes(code: Firing, x: Doubles) -> Ints:
    """Spikes of each value [.., n]."""
    return np.asarray(np.count_nonzero(fire(code, x), axis=0))

"""A bill: each count times its coefficient, one line per count, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwsim.energy.counts import STATIC_POWER
from hwsim.energy.profile import Profile

JOULE = 1e-12  # joules per picojoule


@dataclass(frozen=True)
class Line:
    """One term of the energy: count x coefficient = joules.

    per_unit: the coefficient, in `unit` (pJ; W for static power, whose count is chip-seconds).
    """

    what: str
    count: float
    per_unit: float
    unit: str
    joules: float
    source: str
    note: str


@dataclass(frozen=True)
class Bill:
    """Energy of a run under one profile.

    uncounted: names of counts that the profile prices and the run does not have.
    """

    profile: str
    title: str
    basis: str
    scope: str
    note: str
    lines: tuple[Line, ...]
    uncounted: tuple[str, ...]

    @property
    def joules(self) -> float:
        return sum(line.joules for line in self.lines)


def bill(profile: Profile, counts: Mapping[str, int], chip_seconds: float | None = None) -> Bill:
    """The energy of `counts` (named as in counts.py) and of the chips' static power.

    chip_seconds: chips x latency in seconds, for static power; None if either is unknown.
    """
    lines, uncounted = [], []
    for name, price in profile.picojoule.items():
        if name not in counts:
            uncounted.append(name)
            continue
        joules = counts[name] * price.value * JOULE
        lines.append(
            Line(name, counts[name], price.value, price.unit, joules, price.source, price.note)
        )
    power = profile.static_power
    if power is not None and chip_seconds is None:
        uncounted.append(STATIC_POWER)
    elif power is not None and chip_seconds is not None:
        joules = chip_seconds * power.value
        lines.append(
            Line(STATIC_POWER, chip_seconds, power.value, "W", joules, power.source, power.note)
        )
    return Bill(
        profile.name,
        profile.title,
        profile.basis,
        profile.scope,
        profile.note,
        tuple(lines),
        tuple(uncounted),
    )

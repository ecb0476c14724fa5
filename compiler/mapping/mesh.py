"""Mesh: positions of a placement's cores, and the distances between them.

Core c is on chip c // cores_per_chip.  Cores with successive numbers share a router and are 0 hops
apart.  The routers of a chip are numbered row by row, and so are the chips of a near-square grid.
Messages are routed along X first, then Y.  That chips form a grid whose neighbours are linked is an
assumption: Intel publishes no wiring of Kapoho Point or Hala Point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.model import Placement

Ints = NDArray[np.int64]


class Distance(NamedTuple):
    """Hops on the mesh by direction, and chip borders crossed, for each pair of cores."""

    east_west: Ints
    north_south: Ints
    crossings: Ints


@dataclass(frozen=True)
class Mesh:
    """The mesh of all cores; `width`: routers in a row of one chip."""

    cores: int
    cores_per_chip: int
    width: int
    cores_per_router: int = 1

    @staticmethod
    def of(placement: Placement) -> Mesh:
        chip, row = placement.cores_per_chip, placement.mesh_width
        return Mesh(placement.cores, chip, row, placement.cores_per_router)

    @property
    def routers(self) -> int:
        """Of one chip."""
        return -(-self.cores_per_chip // self.cores_per_router)

    @property
    def height(self) -> int:
        return -(-self.routers // self.width)

    @property
    def chips(self) -> int:
        return -(-self.cores // self.cores_per_chip)

    @property
    def chips_wide(self) -> int:
        return max(1, math.isqrt(max(0, self.chips - 1)) + 1)

    def distance(self, source: Ints, target: Ints) -> Distance:
        """Distance from each core of `source` to its partner in `target`; shapes broadcast."""
        chip_a, core_a = np.divmod(np.asarray(source, np.int64), self.cores_per_chip)
        chip_b, core_b = np.divmod(np.asarray(target, np.int64), self.cores_per_chip)
        on_a, on_b = core_a // self.cores_per_router, core_b // self.cores_per_router
        chip_x = chip_b % self.chips_wide - chip_a % self.chips_wide
        chip_y = chip_b // self.chips_wide - chip_a // self.chips_wide
        x = chip_x * self.width + on_b % self.width - on_a % self.width
        y = chip_y * self.height + on_b // self.width - on_a // self.width
        return Distance(np.abs(x), np.abs(y), np.abs(chip_x) + np.abs(chip_y))

    def snake(self) -> Ints:
        """All cores, chip by chip and row by row, every other row (of chips, routers) reversed."""
        chips = _snake(self.chips, self.chips_wide)
        inside = _snake(self.routers, self.width)
        return self._order(chips, inside)

    def hilbert(self) -> Ints:
        """All cores along a Hilbert curve of chips, and one of routers inside each."""
        chips = _hilbert(self.chips, self.chips_wide)
        inside = _hilbert(self.routers, self.width)
        return self._order(chips, inside)

    def _order(self, chips: Ints, routers: Ints) -> Ints:
        each = np.arange(self.cores_per_router)
        inside = (routers[:, None] * self.cores_per_router + each).ravel()
        inside = inside[inside < self.cores_per_chip]
        order: Ints = (chips[:, None] * self.cores_per_chip + inside[None]).ravel()
        return order[order < self.cores]


def _snake(n: int, width: int) -> Ints:
    places = np.arange(-(-n // width) * width).reshape(-1, width)
    places[1::2] = places[1::2, ::-1]
    flat: Ints = places.ravel()
    return flat[flat < n]


def _hilbert(n: int, width: int) -> Ints:
    """Places 0 .. n - 1 of a grid `width` wide, in the order of a Hilbert curve on a square."""
    place = np.arange(n, dtype=np.int64)
    x, y = place % width, place // width
    side = 1 << max(1, int(max(width, -(-n // width)) - 1).bit_length())
    index = np.zeros(n, np.int64)
    half = side // 2
    while half:
        right, down = (x & half) > 0, (y & half) > 0
        index += half * half * ((3 * right) ^ down)
        flip = ~down & right
        x, y = np.where(flip, side - 1 - x, x), np.where(flip, side - 1 - y, y)
        x, y = np.where(down, x, y), np.where(down, y, x)
        half //= 2
    order: Ints = np.argsort(index, kind="stable")
    return order

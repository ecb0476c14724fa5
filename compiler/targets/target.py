"""Targets: capacity and speed of chips and systems, read from `targets/*.toml`.

A figure without a source, an unknown key or a value out of range is refused when the file is read,
so every number in the compiler's reports has a source.  A limit that a file leaves out is not
published, and limits nothing.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from las_neuro.errors import ConfigError, TargetError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent


class _Closed(BaseModel):
    """A table of the file, without unknown keys and immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Figure(_Closed):
    """One number with its source."""

    value: float = Field(gt=0)
    unit: str = ""
    source: str = Field(min_length=8)
    note: str = ""

    def __int__(self) -> int:
        return int(self.value)

    def __float__(self) -> float:
        return float(self.value)

    def __str__(self) -> str:
        return f"{self.value:,g}" if self.value % 1 else f"{int(self.value):,}"


class System(_Closed):
    """Number of chips, and of cores on each that a compiler may use."""

    chips: Figure
    cores_per_chip: Figure


class Mesh(_Closed):
    """The network on chip: rows of `width` cores; a chip crossing counts as `crossing_hops`."""

    width: Figure
    cores_per_router: Figure
    crossing_hops: Figure


class Word(_Closed):
    """Widths in bits; a payload of 1 bit is a binary spike."""

    state_bits: Figure
    payload_bits: Figure
    weight_bits: Figure


class Core(_Closed):
    """Capacity of one core, and the bits that synapses and axons use of it."""

    compartments: Figure
    synapse_words: Figure
    pool_words: Figure | None = None
    state_bytes: Figure | None = None
    neuron_groups: Figure | None = None
    input_axons: Figure
    input_axon_bits: Figure | None = None
    axon_map_bits: Figure | None = None
    dense_synapse_bits: Figure
    sparse_synapse_bits: Figure
    plastic_synapse_bits: Figure  # of a written weight's slice


class Time(_Closed):
    """Times whose largest gives the time of a step: the barrier, a core's events, its updates."""

    barrier_us: Figure
    synaptic_event_ns: Figure
    neuron_update_ns: Figure
    measured_step_us: Figure | None = None  # shortest step that somebody measured on a board
    measured_update_ns: Figure | None = None  # of one compartment with microcode


class Target(_Closed):
    """One system; hashable, so that costs can be cached by target."""

    name: str
    title: str
    automatic: bool = False  # whether `--target auto` may choose it
    system: System
    mesh: Mesh
    word: Word
    core: Core
    time: Time

    @property
    def cores(self) -> int:
        return int(self.system.chips) * int(self.system.cores_per_chip)

    @property
    def graded(self) -> bool:
        """Whether a spike can carry a value."""
        return int(self.word.payload_bits) > 1


def names() -> list[str]:
    """Names of all targets, sorted."""
    return sorted(path.stem.replace("_", "-") for path in FOLDER.glob("*.toml"))


@cache
def automatic() -> tuple[str, ...]:
    """Names of the targets that `--target auto` tries, in that order: fewest cores first."""
    targets = [target for target in map(load, names()) if target.automatic]
    return tuple(target.name for target in sorted(targets, key=lambda target: target.cores))


@cache
def load(name: str) -> Target:
    """The target of that name; raises TargetError for an unknown name."""
    if name not in names():
        raise TargetError(f"unknown target {name!r}", f"choose one of {', '.join(names())}")
    path = FOLDER / f"{name.replace('-', '_')}.toml"
    return parse(tomllib.loads(path.read_text(encoding="utf-8")), path.name)


def parse(table: dict[str, Any], where: str) -> Target:
    """A target from its TOML tables; raises ConfigError for faulty ones.

    where: the file's name, for the error.
    """
    try:
        return Target.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{where}: {place}: {first['msg']}",
            'write every figure as { value = N, source = "where it comes from" }',
        ) from None

"""The netlist: populations, synapse groups, a static schedule, and a placement on cores.

Time.  One token's period has `period` steps, cut into phases.  A phase runs over all tokens of a
sequence before the next begins; a decoder has one phase, so it runs token by token.  A population
is updated at its `steps` (numbered in the period) and may send at its `sends`; a spike sent at step
t arrives at t + 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.kinds import KINDS, Kind
from las_neuro.graph import SLOTS, Axes


class Matrix(Protocol):
    """int8 weights that may still be on disk or unquantised; `load` returns [n_post, n_pre]."""

    @property
    def shape(self) -> tuple[int, int]: ...

    def load(self) -> NDArray[np.int8]: ...


@dataclass(frozen=True)
class InMemory:
    """A matrix or table in memory."""

    array: NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    def load(self) -> NDArray[Any]:
        return self.array


@dataclass(frozen=True)
class Dense:
    """All-to-all synapses with int8 weights [n_post, n_pre] of `bits` bits each, sign included.

    As on the chip, a weight is in -2**(bits - 1) .. 2**(bits - 1) - 1.
    """

    weights: Matrix
    bits: int = 8


@dataclass(frozen=True)
class Pattern:
    """Synapses of one weight along named axes: "h j d -> h j" sums over d, "h -> h j" copies."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    weight: int = 1

    def __str__(self) -> str:
        return f"{' '.join(self.source) or '1'} -> {' '.join(self.target) or '1'} x{self.weight}"


@dataclass(frozen=True)
class Gather:
    """One synapse per target compartment: i receives weight[i] * payload of source index[i]."""

    index: NDArray[np.int32]
    weight: NDArray[np.int8]


SLICE_BITS = 7  # of a written weight that one synapse holds, in two's complement
MOST_SLICES = 4


@dataclass(frozen=True)
class Written:
    """Synapses whose weights are written at run time, a slot at a time, and kept until overwritten.

    The weight between two compartments is the content at the indices that they have along `axes`,
    of which SLOTS is one; it is 0 until it is written.  In the step in which compartment s of
    `pointer` sends, the payloads of `value` become the content of slot s: spikes sent in later
    steps are weighted by it, those of the same step are not.  Both are populations; `value` has the
    content's axes without SLOTS, and sends payloads of at most `limit`.

    A synapse holds a slice of 7 bits, so content takes several synapses: a copy of Lava's learning
    rules, whose traces have 7 bits (lava-nc 0.10.0, LearningDense).
    """

    axes: tuple[str, ...]
    value: str
    pointer: str
    limit: int

    @property
    def slices(self) -> int:
        """Synapses that hold one number: the fewest whose digits -64 .. 63 reach +-limit."""
        return next(n for n in range(1, MOST_SLICES + 1) if self.limit <= slice_limit(n))

    @property
    def slot_axis(self) -> int:
        """Which of the axes counts slots."""
        return self.axes.index(SLOTS)


def slice_limit(slices: int) -> int:
    """Largest magnitude that so many 7-bit slices hold with either sign."""
    half = 1 << (SLICE_BITS - 1)
    return (half - 1) * sum(1 << (SLICE_BITS * place) for place in range(slices))


Form = Dense | Pattern | Gather | Written

ROLES = {
    "value": "sends the node's value",
    "written": "sends what is written into synapses, the value of a memory node",
    "part": "sends a part of the value, which another population of the node adds up",
    "control": "times writes, reads and verdicts; carries no value",
}


@dataclass(frozen=True)
class Population:
    """Compartments of one kind that share a schedule."""

    name: str
    kind: str
    axes: Axes
    params: Mapping[str, Any]  # int, tuple of int, or array [n] or [1]
    steps: tuple[int, ...] = ()
    sends: tuple[int, ...] = ()
    layer: int = -1
    unit: float = 1.0  # value of payload 1 in the model's units, to decode inputs and outputs
    node: str = ""  # the graph node that it computes, or computes a part of
    role: str = "value"  # its part in computing that node, one of ROLES
    repeated: bool = False  # a copy of the node's value in a later phase
    repetition: int = 0  # number of the repetition it belongs to, in a network of several

    @property
    def n(self) -> int:
        return int(np.prod(list(self.axes.values()), dtype=np.int64))

    @property
    def label(self) -> str:
        """Its name in error messages."""
        return f"population `{self.name:.160}`"

    @property
    def does(self) -> Kind:
        return KINDS[self.kind]

    @property
    def slot_axis(self) -> int | None:
        """Index of the axis of slots; None where it has no such axis."""
        return list(self.axes).index(SLOTS) if SLOTS in self.axes else None

    @property
    def graded(self) -> bool:
        """Whether its spikes carry values; else they are binary."""
        return self.does.spikes.graded(self.params)


@dataclass(frozen=True)
class Synapses:
    """One group of synapses from a population to a port of another; the delay is one step."""

    source: str
    target: str
    port: str
    form: Form
    feedback: bool = False  # closes a loop inside one window

    @property
    def name(self) -> str:
        return f"{self.source} -> {self.target}.{self.port}"

    @property
    def label(self) -> str:
        """Their name in error messages."""
        return f"synapses `{self.name:.160}`"


@dataclass(frozen=True)
class HostTable:
    """Values that the host sends to an input population: row `id + offset` of rows [ids, n]."""

    population: str
    source: str  # "token", "position", "type", or "patch": no rows, the caller gives the values
    offset: int
    rows: Any  # Matrix of int32


@dataclass(frozen=True)
class Tile:
    """Compartments start .. stop of a population, which are on one core."""

    population: str
    start: int
    stop: int
    core: int


@dataclass(frozen=True)
class Block:
    """Rows and columns of synapse group `group` (its index), stored on one core.

    A block on another core than its rows' compartments sends partial sums to them.
    """

    group: int
    rows: tuple[int, int]
    cols: tuple[int, int]
    core: int


@dataclass(frozen=True)
class Placement:
    """The cores of all compartments and dense synapses.  Core c is on chip c // cores_per_chip."""

    target: str
    cores: int
    cores_per_chip: int
    mesh_width: int  # routers of a chip are numbered row by row, with so many per row
    cores_per_router: int  # cores with successive numbers share a router
    tiles: tuple[Tile, ...]
    blocks: tuple[Block, ...]

    @property
    def chips(self) -> int:
        return -(-self.cores // self.cores_per_chip)


P = TypeVar("P", bound=Population)


@dataclass
class Network(Generic[P]):
    """Populations and the synapse groups between them: what lowered networks and netlists share."""

    family: str
    causal: bool
    context: int
    vocabulary: int  # 0 where the model reads patches
    output: str  # population that the host reads
    output_kind: str  # "logits", "hidden", or "classes" (those of the first token)
    populations: dict[str, P] = field(default_factory=dict)
    synapses: list[Synapses] = field(default_factory=list)
    tables: list[HostTable] = field(default_factory=list)
    phases: tuple[tuple[int, int], ...] = ()  # (first step, one past the last step)

    @property
    def period(self) -> int:
        return self.phases[-1][1] if self.phases else 0

    @property
    def pixels(self) -> int:
        """Values per patch, of a model that reads patches; 0 of a model that reads tokens."""
        inputs = (table.population for table in self.tables if table.source == "patch")
        return next((self.populations[name].n for name in inputs), 0)

    def into(self, name: str) -> list[Synapses]:
        return [group for group in self.synapses if group.target == name]

    def out_of(self, name: str) -> list[Synapses]:
        return [group for group in self.synapses if group.source == name]

    def fan_out(self, group: Synapses) -> NDArray[np.int64]:
        """Synapses of a group per source compartment, [n_pre]."""
        source, target = self.populations[group.source], self.populations[group.target]
        if isinstance(group.form, Dense):
            return np.full(source.n, target.n, np.int64)
        if isinstance(group.form, Gather):
            return np.bincount(group.form.index, minlength=source.n).astype(np.int64)
        copied = [size for axis, size in target.axes.items() if axis not in source.axes]
        copied += [group.form.slices] if isinstance(group.form, Written) else []
        return np.full(source.n, int(np.prod(copied, dtype=np.int64)), np.int64)

    def content_axes(self, form: Written) -> Axes:
        """Axes and sizes of what written synapses hold."""
        sizes = {**self.populations[form.value].axes, SLOTS: self.populations[form.pointer].n}
        return {axis: sizes[axis] for axis in form.axes}

    def in_blocks(self, group: Synapses) -> bool:
        """Whether a placement cuts a group into blocks: dense weights, or written ones of a sum."""
        if isinstance(group.form, Written):
            return group.port == self.populations[group.target].does.sum_port
        return isinstance(group.form, Dense)

    def block_shape(self, group: Synapses) -> tuple[int, int]:
        """Rows and columns of a group in blocks.

        Of written weights: indices along the axes that the target has, and along the others.
        """
        if isinstance(group.form, Dense):
            return group.form.weights.shape
        assert isinstance(group.form, Written)
        sizes, target = self.content_axes(group.form), self.populations[group.target].axes
        rows = math.prod(size for axis, size in sizes.items() if axis in target)
        return rows, math.prod(sizes.values()) // rows

    def update(self, name: str, **changes: Any) -> None:
        """Replace fields of one population."""
        self.populations[name] = replace(self.populations[name], **changes)


@dataclass
class Netlist(Network[Population]):
    """A whole compiled model, integers only."""

    populations: dict[str, Population] = field(default_factory=dict)
    placement: Placement | None = None
    tokenizer: str | None = None  # tokenizer.json, whole
    provenance: dict[str, Any] = field(default_factory=dict)

    def units(self, name: str) -> NDArray[np.float64]:
        """Value of payload 1 by compartment, in the model's units: [n], or [1] where all are equal.

        Channels of an encoder with their own thresholds have their own multipliers, and so units.
        """
        population = self.populations[name]
        p, grain = population.params, population.does.spikes.grain
        if grain is None or np.size(p["multiplier"]) == 1:
            return np.array([population.unit])
        source = next(group.source for group in self.into(name) if group.port == "x")
        factor = np.asarray(p["multiplier"], np.float64) / 2.0 ** np.asarray(p["shift"])
        above, below = grain(p)
        used = np.where(factor == 0, 1.0, factor)  # a channel of factor 0 is always silent
        return np.asarray(self.populations[source].unit / used * (above / below))

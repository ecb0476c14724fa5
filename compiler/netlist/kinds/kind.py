"""What a compartment kind declares; the one meaning every executor and the compiler share.

A kind's `step` is what the chip does in one time step of one population, integers only.  `window`
is the same over all steps of a window in closed form, for all tokens at once.  A property test
holds `window == fold(step)` for every kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field
from typing import Any

from compiler.netlist.arrays import Array, Ints
from compiler.netlist.trains import Graded, Train

Params = Mapping[str, Any]  # int, tuple of int, or array of one value a compartment
State = dict[str, Any]


@dataclass(frozen=True)
class Cost:
    """Work of one compartment in one update, for the counters."""

    state_reads: int = 0
    state_writes: int = 0
    adds: int = 0
    multiplies: int = 0
    compares: int = 0
    shifts: int = 0
    lookups: int = 0


@dataclass(frozen=True)
class Outcome:
    """What one step gives: new state, payload [n] (0 is silence), values clamped, sums wrapped."""

    state: State
    payload: Ints
    clamps: int = 0
    wraps: int = 0


@dataclass(frozen=True)
class Swept:
    """What a window gives: the train sent (None: nothing in this phase), state kept on."""

    train: Train | None
    state: State = field(default_factory=dict)
    clamps: int = 0
    wraps: int = 0


@dataclass(frozen=True)
class Loop:
    """What a closed loop of two populations gives: the trains of both."""

    outer: Train
    inner: Train


@dataclass(frozen=True)
class Kind:
    """Declaration of one compartment kind.

    ports: port -> how arrivals reach `window`: "sum" (one total for each segment of steps), "latch"
    (one total) or "train" (the train itself).  state: word -> bits; params: name -> bits each.
    segments: the runs of steps between two right shifts of the state, inside which sums are linear.
    window is None for the inner population of a closed loop; the outer kind's `loop` covers both.
    lava: the built-in Lava process that is equal to this kind, or None: custom microcode.
    """

    name: str
    purpose: str
    ports: Mapping[str, str]
    state: Mapping[str, int]
    params: Mapping[str, int]
    step: Callable[[State, Mapping[str, Ints], Params, int], Outcome]
    window: Callable[[State, Mapping[str, Any], Params], Swept] | None
    cost: Cost
    lava: str | None = None
    segments: Callable[[Params], list[tuple[int, int]]] | None = None
    loop: Callable[[Array, Params, Callable[[Array], Array]], Loop] | None = None
    graded: bool = True  # payloads are graded values; else binary spikes, but for graded codes
    keeps: tuple[str, ...] = ()  # state words that live from token to token
    tables: tuple[str, ...] = ()  # parameters shared by all compartments of a core
    extra: Callable[[Params], Cost] | None = None  # work on top of `cost` that parameters ask for

    def work(self, params: Params) -> Cost:
        """One update of a compartment with these parameters."""
        if self.extra is None:
            return self.cost
        more = self.extra(params)
        return Cost(*(a + b for a, b in zip(astuple(self.cost), astuple(more), strict=True)))

    @property
    def state_bits(self) -> int:
        return sum(self.state.values())


Step = Callable[[State, Mapping[str, Ints], Params, int], Outcome]
Window = Callable[[State, Mapping[str, Any], Params], Swept]


def at_once(answer: Callable[[Array, Params], tuple[Array, int]]) -> tuple[Step, Window]:
    """step and window of a kind that hears one graded value and answers with another.

    answer(x, params): payload and clamps.
    """

    def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
        payload, clamps = answer(inputs["x"], p)
        return Outcome({}, payload, clamps)

    def window(state: State, arrivals: Mapping[str, Any], p: Params) -> Swept:
        payload, clamps = answer(arrivals["x"], p)
        return Swept(Graded(payload), {}, clamps)

    return step, window


def fold(kind: Kind, state: State, inputs: list[Mapping[str, Ints]], params: Params) -> Outcome:
    """Run `step` over consecutive steps; payload of the result: [steps, n]."""
    import numpy as np

    payloads, clamps, wraps = [], 0, 0
    for k, arriving in enumerate(inputs):
        outcome = kind.step(state, arriving, params, k)
        state = outcome.state
        payloads.append(outcome.payload)
        clamps += outcome.clamps
        wraps += outcome.wraps
    return Outcome(state, np.stack(payloads), clamps, wraps)

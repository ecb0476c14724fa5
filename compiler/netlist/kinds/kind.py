"""The declaration of a compartment kind, by which the compiler and all engines agree on it.

A kind is one file of this folder with a `KIND`.  Its `step` is one time step of one population, as
on the chip, in integers.  `window` is the same for all steps of a window in closed form, for all
tokens at once.  A property test checks `window == fold(step)` for every kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from compiler.netlist.kinds.params import Param, Params
from compiler.netlist.kinds.spikes import Spikes
from compiler.netlist.kinds.timing import Timing
from compiler.netlist.trains import Graded, Train
from las_neuro.integers import Array, Ints

if TYPE_CHECKING:
    from compiler.netlist.model import Population
    from compiler.netlist.wiring import Wiring

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
class Word:
    """One state word of a compartment, in two's complement if signed.

    keeps: whether it is kept from token to token; other words are set again in each window.
    shares: the word whose storage it uses, because the two are never used at the same time.
    only: a parameter; only populations in which it is not 0 have the word.
    """

    bits: int
    signed: bool = True
    keeps: bool = False
    shares: str = ""
    only: str = ""

    @property
    def range(self) -> tuple[int, int]:
        """Least and largest value of the word."""
        if self.signed:
            return -(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1
        return 0, 2**self.bits - 1


@dataclass(frozen=True)
class Port:
    """A port, where spikes arrive, and the form of `window`'s input for it.

    form: latch  one graded value, kept until it is used: one group of synapses that copies
          sum    weighted spikes of several groups, added up; `window` gets one total for each
                 linear segment of steps.  The kind then has parameters `shift` and `cut` (one for
                 each step) and `safe`, which the compiler sets
          spikes whatever comes in a step, heard in that step only
          host   what the host injects; no synapses
    needed: whether a netlist must connect it; needed_if: a parameter that, where not 0, needs it.
    """

    form: Literal["latch", "sum", "spikes", "host"]
    needed: bool = True
    needed_if: str = ""


@dataclass(frozen=True)
class Rescaling:
    """Names of the parameters of a real factor in integers: factor = multiplier / 2**shift.

    bias: added afterwards.  gain, gain_shift: a second factor.  "" where the kind has none.
    """

    multiplier: str
    shift: str
    bias: str = ""
    gain: str = ""
    gain_shift: str = ""


@dataclass(frozen=True)
class Outcome:
    """Result of one step: new state, payload [n] (0 is silence), numbers of clamps and wraps."""

    state: State
    payload: Ints
    clamps: int = 0
    wraps: int = 0


@dataclass(frozen=True)
class WindowOutcome:
    """Result of a window: the train (None: not sent in this phase) and the state that is kept."""

    train: Train | None
    state: State = field(default_factory=dict)
    clamps: int = 0
    wraps: int = 0


@dataclass(frozen=True)
class Loop:
    """Result of a closed loop of two populations: the trains of both."""

    outer: Train
    inner: Train


def _once(p: Params) -> int:
    return 1


@dataclass(frozen=True)
class Kind:
    """Declaration of one compartment kind.

    state: every state word on the chip; `step` may leave out words that are 0 or not in use.
    simulation_only: words that `step` keeps for its counts, and a chip does not have.
    params: those named `arrivals` (steps of the window) and `early` (steps before the first send)
    are set by the schedule.
    cost: one update of a compartment with these parameters.
    lava: the built-in Lava process that is equal to this kind, or None: custom microcode.
    window: None for the populations of a closed loop; the outer kind's `loop` covers both.
    segments: the runs of steps between two right shifts of the state, inside which sums are linear.
    one_hot: one compartment of the population spikes a token, the others are silent.
    relative_to: the port of a reference r; the payload is proportional to 2**(x - r).
    degree: power of a common factor of the inputs in the payload: 1 linear, -1 inverse, 0 neither.
    check, check_wiring: raise NetlistError where parameters or synapses do not fit each other.
    """

    name: str
    purpose: str
    ports: Mapping[str, Port]
    state: Mapping[str, Word]
    params: Mapping[str, Param]
    step: Callable[[State, Mapping[str, Ints], Params, int], Outcome]
    window: Callable[[State, Mapping[str, Any], Params], WindowOutcome] | None
    cost: Callable[[Params], Cost]
    lava: str | None = None
    timing: Timing = field(default_factory=Timing)
    spikes: Spikes = field(default_factory=Spikes)
    rescaling: Rescaling | None = None
    segments: Callable[[Params], list[tuple[int, int]]] | None = None
    loop: Callable[[Array, Params, Callable[[Array], Array]], Loop] | None = None
    one_hot: bool = False
    relative_to: str = ""
    degree: Callable[[Params], int] = _once
    simulation_only: tuple[str, ...] = ()
    check: Callable[[Population], None] | None = None
    check_wiring: Callable[[Wiring, Population], None] | None = None

    @property
    def state_bits(self) -> int:
        """State bits of a compartment.

        Words that share another's storage need none.  A word that only some populations have (the
        one bit of a gated sum) is not counted.
        """
        return sum(w.bits for w in self.state.values() if not w.shares and not w.only)

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the parameters that are tables, shared by all compartments of a core."""
        return tuple(name for name, param in self.params.items() if param.per == "table")

    @property
    def sum_port(self) -> str:
        """The port that adds up weighted spikes; "" if the kind has none."""
        return next((name for name, port in self.ports.items() if port.form == "sum"), "")


Step = Callable[[State, Mapping[str, Ints], Params, int], Outcome]
Window = Callable[[State, Mapping[str, Any], Params], WindowOutcome]


def at_once(answer: Callable[[Array, Params], tuple[Array, int]]) -> tuple[Step, Window]:
    """`step` and `window` of a kind that receives one graded value and sends another.

    answer(x, params): payload and number of clamps.
    """

    def step(state: State, inputs: Mapping[str, Ints], p: Params, k: int) -> Outcome:
        payload, clamps = answer(inputs["x"], p)
        return Outcome({}, payload, clamps)

    def window(state: State, arrivals: Mapping[str, Any], p: Params) -> WindowOutcome:
        payload, clamps = answer(arrivals["x"], p)
        return WindowOutcome(Graded(payload), {}, clamps)

    return step, window


def fold(kind: Kind, state: State, inputs: list[Mapping[str, Ints]], params: Params) -> Outcome:
    """Run `step` for consecutive steps; the result's payload is [steps, n]."""
    import numpy as np

    payloads, clamps, wraps = [], 0, 0
    for k, arriving in enumerate(inputs):
        outcome = kind.step(state, arriving, params, k)
        state = outcome.state
        payloads.append(outcome.payload)
        clamps += outcome.clamps
        wraps += outcome.wraps
    return Outcome(state, np.stack(payloads), clamps, wraps)

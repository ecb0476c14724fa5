"""The steps at which the populations of a kind are updated, receive and send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compiler.netlist.faults import need
from compiler.netlist.kinds.params import Params

if TYPE_CHECKING:
    from compiler.netlist.model import Population
    from compiler.netlist.timetable import Timetable

Steps = tuple[int, ...]


def at_arrivals(table: Timetable, population: Population) -> Steps:
    """Every step at which a spike may arrive."""
    return table.arrivals(population.name)


def once_per_phase(table: Timetable, population: Population) -> Steps:
    """The first step of the phase."""
    return (table.begin,)


def at_last(steps: Steps, p: Params) -> Steps:
    return steps[-1:]


def at_all(steps: Steps, p: Params) -> Steps:
    return steps


@dataclass(frozen=True)
class Timing:
    """The steps of a population in a token's period.

    steps(timetable, population): its updates, chosen by the schedule in topological order; by
    default one wherever a spike may arrive.
    sends(steps, params): which of them send; by default the last.
    listens(params): place, among the steps, of the last at which a latched value may arrive;
    None: the last.
    one_step: whether there is one update only.
    """

    steps: Callable[[Timetable, Population], Steps] = at_arrivals
    sends: Callable[[Steps, Params], Steps] = at_last
    listens: Callable[[Params], int] | None = None
    one_step: bool = False


def counts_its_steps(population: Population) -> None:
    """Raise NetlistError unless the parameter `arrivals` is the number of steps."""
    arrivals, steps = population.params["arrivals"], len(population.steps)
    need(arrivals == steps, population.label, f"{arrivals} arrivals in {steps} steps")


def train_of_spikes(table: Timetable, population: Population) -> Steps:
    """A step for each spike, from the value's arrival on.

    The first spike waits until the synapses that it reads hold the token's own value.
    """
    arrival = start = table.arrivals(population.name)[-1]
    for form in table.wiring.reads(population.name):
        start = max(start, *(t + 1 for t in table.sends[form.value]))
    return tuple(sorted({arrival, *range(start, start + population.params["steps"])}))


def at_the_train(steps: Steps, p: Params) -> Steps:
    return steps[len(steps) - p["steps"] :]


TRAIN = Timing(train_of_spikes, at_the_train, listens=lambda p: int(p["early"]))


def need_train(population: Population, spikes: str) -> None:
    """Raise NetlistError unless there are `early` steps of waiting and then `steps` sends.

    spikes: a word for these in the error.
    """
    p, steps, sends = population.params, len(population.steps), len(population.sends)
    fits = p["steps"] == sends == steps - p["early"]
    need(fits, population.label, f"{p['early']} + {p['steps']} {spikes} in {steps} steps")

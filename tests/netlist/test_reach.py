"""How far sums can go, by hand."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from wiring import wire

from compiler.netlist.model import (
    Dense,
    Gather,
    InMemory,
    Netlist,
    Pattern,
    Population,
    Synapses,
    Written,
)
from compiler.netlist.reach import (
    dense_reach,
    digit_widths,
    largest_spikes,
    reach,
    volley_reach,
)
from compiler.netlist.wiring import Wiring

ENCODE: dict[str, Any] = {"digits": 8, "digit_bits": 3, "outlier_shift": 0, "outliers": [0, 1]}
FIRE: dict[str, Any] = {"lift": [0, 2], "send": [4, -3, 2], "level": 1, "most": 1}
WEIGHTS = [[1, -2], [-3, 1], [0, 0]]


def population(name: str, kind: str, sends: int = 1, /, **params: Any) -> Population:
    arrays = {key: np.array(x) if isinstance(x, list) else x for key, x in params.items()}
    at = tuple(range(sends))
    return Population(name, kind, {"d": 2}, arrays, at, at)


def encoder(**changes: Any) -> Population:
    return population("e", "encode", 3, **{**ENCODE, **changes})


def neuron(**changes: Any) -> Population:
    return population("f", "fire", 3, **{**FIRE, **changes})


def group(source: str, target: str, port: str, form: Any) -> Synapses:
    return Synapses(source, target, port, form)


def test_an_outlier_s_spike_is_larger() -> None:
    assert largest_spikes(encoder()).tolist() == [1, 1]
    assert largest_spikes(encoder(outlier_shift=3)).tolist() == [1, 8]
    assert largest_spikes(encoder(outlier_shift=3, outliers=[-1, 0])).tolist() == [8, 1]
    assert largest_spikes(population("g", "product")).tolist() == [1, 1]


def test_a_lifted_neuron_s_spike_is_larger() -> None:
    assert largest_spikes(neuron()).tolist() == [1, 4]


def test_every_source_spikes_with_the_sign_that_hurts() -> None:
    weights = np.array(WEIGHTS, np.int8)
    assert dense_reach(weights, encoder()) == 4
    assert dense_reach(weights, encoder(outlier_shift=3)) == 17
    assert dense_reach(np.array([[-128, -128]], np.int8), encoder()) == 256
    assert dense_reach(np.zeros((0, 2), np.int8), encoder()) == 0


def net(*populations: Population) -> Netlist:
    """Populations that a dense group joins, each to the next."""
    dense = Dense(InMemory(np.array(WEIGHTS[:2], np.int8)))
    return wire(
        list(populations), [group(a.name, b.name, "a", dense) for a, b in pairwise(populations)]
    )


def test_groups_of_every_form() -> None:
    last = population("out", "product")
    made = net(encoder(outlier_shift=3), last)
    assert reach(Wiring(made), made.synapses[0]) == 17
    gather = group("e", "out", "a", Gather(np.array([0, 1], np.int32), np.array([1, -1], np.int8)))
    assert reach(Wiring(made), gather) == 8
    made.update("e", axes={"d": 2, "j": 1})
    made.update("out", axes={"d": 2})
    assert reach(Wiring(made), group("e", "out", "a", Pattern(("d", "j"), ("d",)))) == 8
    made.update("out", axes={"j": 1})
    assert reach(Wiring(made), group("e", "out", "a", Pattern(("d", "j"), ("j",)))) == 16


def test_a_written_weight_multiplies_the_spikes_that_meet_it() -> None:
    """Contents up to 50, spikes up to 8, a sum over d 2; of a pointer one compartment sends."""
    pointer = Population("p", "pointer", {"d": 2}, {"slots": 2}, (0,), (0,))
    made = wire([encoder(outlier_shift=3), pointer, population("out", "product")], [])
    form = Written(("d", "j"), "out", "p", 50)
    assert reach(Wiring(made), group("e", "out", "a", form)) == 400
    made.update("out", axes={"j": 2})
    assert reach(Wiring(made), group("e", "out", "a", form)) == 800
    assert reach(Wiring(made), group("p", "out", "a", form)) == 50
    assert digit_widths(Wiring(made), "p") == ()


@pytest.mark.parametrize(
    ("level", "most", "volley"), [(1, 1, 9 * 9), (4, 4, 4 * 9 * 9), (4, 3, 3 * 9 * 9)]
)
def test_all_spikes_of_a_neuron_together(level: int, most: int, volley: int) -> None:
    """Rows of weights reach 1 + 2 * 4 and 3 + 4; spikes count 4, 3 and 2."""
    made = net(neuron(level=level, most=most), population("out", "product"))
    assert volley_reach(Wiring(made), made.synapses[0]) == volley


def test_digits_of_different_weight_are_no_volley() -> None:
    made = net(encoder(), population("out", "product"))
    assert volley_reach(Wiring(made), made.synapses[0]) is None


def test_digits_of_a_spike() -> None:
    made = net(encoder(), population("out", "product"))
    assert digit_widths(Wiring(made), "e") == (3, 3, 2)
    assert digit_widths(Wiring(made), "out") == ()
    made.update("e", params={**made.populations["e"].params, "digits": 9})
    assert digit_widths(Wiring(made), "e") == (3, 3, 3)
    assert digit_widths(Wiring(net(neuron(), population("out", "product"))), "f") == ()
    contest = Wiring(net(population("c", "compete", 3), population("o", "any")))
    assert digit_widths(contest, "c") == (1, 1, 1)

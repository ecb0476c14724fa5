"""The index of synapse groups: by target, port and source, and those that are written."""

from __future__ import annotations

import pytest

from compiler.netlist.model import Netlist, Pattern, Population, Synapses, Written
from compiler.netlist.wiring import Wiring

SAME = Pattern((), ())
FORM = Written(("j",), "value", "pointer", 9)
GROUPS = [
    ("value", "code", "x", SAME),
    ("clock", "total", "enable", Written(("j",), "clock", "pointer", 1)),
    ("code", "total", "a", FORM),
    ("code", "other", "a", SAME),
    ("other", "total", "a", SAME),
    ("other", "total", "a", FORM),
]
KIND = {"pointer": "pointer", "clock": "pointer", "code": "encode"}


@pytest.fixture
def net() -> Netlist:
    names = ("value", "pointer", "code", "clock", "other", "total")
    populations = {
        name: Population(name, KIND.get(name, "integrate"), {}, {}, (k,), (k, k + 3))
        for k, name in enumerate(names)
    }
    synapses = [Synapses(*group) for group in GROUPS]
    return Netlist(
        "llama", True, 1, 1, "total", "hidden", populations=populations, synapses=synapses
    )


def test_groups_by_target_and_port(net: Netlist) -> None:
    wiring = Wiring(net)
    assert wiring.into("total") == [net.synapses[i] for i in (1, 2, 4, 5)]
    assert wiring.into("total", "enable") == [net.synapses[1]]
    assert wiring.into("value") == wiring.into("code", "a") == []
    assert wiring.source("code", "x") == "value"


def test_groups_keep_their_number(net: Netlist) -> None:
    wiring = Wiring(net)
    assert wiring.out_of("code") == [net.synapses[2], net.synapses[3]]
    assert wiring.numbered_out_of("other") == [(4, net.synapses[4]), (5, net.synapses[5])]
    assert wiring.numbered_into("other") == [(3, net.synapses[3])]
    assert wiring.out_of("total") == wiring.numbered_into("value") == []


def test_spikes_arrive_a_step_later(net: Netlist) -> None:
    assert Wiring(net).arrivals(net.synapses[2]) == (3, 6)


def test_groups_whose_weights_are_written(net: Netlist) -> None:
    wiring = Wiring(net)
    flag = net.synapses[1].form
    assert wiring.written == [(1, flag), (2, FORM), (5, FORM)]
    assert wiring.reads("code") == wiring.reads("other") == [FORM]
    assert wiring.reads("clock") == [flag]
    assert wiring.reads("value") == []
    assert wiring.points("pointer") == [flag, FORM, FORM]
    assert wiring.points("clock") == []


def test_populations_are_those_of_now(net: Netlist) -> None:
    wiring = Wiring(net)
    net.update("code", sends=(9,))
    assert wiring.arrivals(net.synapses[3]) == (10,)
    assert wiring.ends(net.synapses[3]) == (net.populations["code"], net.populations["other"])

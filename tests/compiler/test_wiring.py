"""The index of synapse groups: by target, port and source, and whose code a spike has."""

from __future__ import annotations

import pytest

from compiler.netlist.model import Netlist, Pattern, Population, Synapses
from compiler.netlist.wiring import Wiring

GROUPS = [
    ("value", "store", "write"),
    ("pointer", "store", "enable"),
    ("code", "store", "read"),
    ("code", "total", "a"),
    ("store", "total", "a"),
    ("store", "other", "read"),
    ("other", "total", "a"),
]
KIND = {"value": "integrate", "store": "memory", "other": "memory", "code": "encode"}


@pytest.fixture
def net() -> Netlist:
    names = ("value", "pointer", "code", "store", "other", "total")
    populations = {
        name: Population(name, KIND.get(name, "integrate"), {}, {}, (k,), (k, k + 3))
        for k, name in enumerate(names)
    }
    populations["pointer"] = Population("pointer", "pointer", {}, {}, (1,), (1,))
    synapses = [Synapses(source, target, port, Pattern((), ())) for source, target, port in GROUPS]
    return Netlist(
        "llama", True, 1, 1, "total", "hidden", populations=populations, synapses=synapses
    )


def test_groups_by_target_and_port(net: Netlist) -> None:
    wiring = Wiring(net)
    assert wiring.into("total") == [net.synapses[i] for i in (3, 4, 6)]
    assert wiring.into("store", "enable") == [net.synapses[1]]
    assert wiring.into("value") == wiring.into("store", "a") == []
    assert wiring.source("store", "write") == "value"


def test_groups_by_source_keep_their_number(net: Netlist) -> None:
    wiring = Wiring(net)
    assert wiring.out_of("code") == [net.synapses[2], net.synapses[3]]
    assert wiring.numbered_out_of("store") == [(4, net.synapses[4]), (5, net.synapses[5])]
    assert wiring.out_of("total") == []


def test_spikes_arrive_a_step_later(net: Netlist) -> None:
    assert Wiring(net).arrivals(net.synapses[2]) == (3, 6)


def test_a_store_has_the_code_of_what_reads_it(net: Netlist) -> None:
    wiring = Wiring(net)
    coders = {name: wiring.coder(name) for name in net.populations}
    assert coders["code"] is coders["store"] is net.populations["code"]
    assert coders["value"] is net.populations["value"]
    assert coders["other"] is None  # a store reads it
    net.synapses = [group for group in net.synapses if group.port != "read"]
    assert Wiring(net).coder("store") is None


def test_what_takes_spikes_directly_or_out_of_a_store(net: Netlist) -> None:
    groups = [net.synapses[i] for i in (4, 5, 3)]
    assert Wiring(net).receivers("code") == groups


def test_populations_are_those_of_now(net: Netlist) -> None:
    wiring = Wiring(net)
    net.update("code", sends=(9,))
    assert wiring.arrivals(net.synapses[3]) == (10,)
    assert wiring.ends(net.synapses[3]) == (net.populations["code"], net.populations["total"])

"""Networks: sizes, fan-out, units, wiring and the timetable, by hand."""

from typing import Any

import numpy as np
import pytest
from wiring import wire

from compiler.netlist.faults import need
from compiler.netlist.model import (
    Dense,
    Gather,
    HostTable,
    InMemory,
    Netlist,
    Pattern,
    Placement,
    Population,
    Synapses,
)
from compiler.netlist.timetable import Timetable
from compiler.netlist.wiring import Wiring
from las_neuro.errors import NetlistError


def population(name: str, kind: str = "product", *at: int, **axes: int) -> Population:
    return Population(name, kind, axes, {}, at or (0,), at or (0,))


def group(source: str, target: str, port: str = "a", **changes: Any) -> Synapses:
    return Synapses(source, target, port, Pattern((), ()), **changes)


def test_a_population_s_size_is_the_product_of_its_axes() -> None:
    assert population("a", h=2, d=3).n == 6
    assert population("a").n == 1


def test_where_a_population_s_slots_are() -> None:
    assert population("a", h=2, j=5).slot_axis == 1
    assert population("a", j=5, h=2).slot_axis == 0
    assert population("a", h=2).slot_axis is None


def test_how_a_pattern_reads() -> None:
    assert str(Pattern(("h", "d"), ("h",), -2)) == "h d -> h x-2"
    assert str(Pattern((), ("h", "d"))) == "1 -> h d x1"
    assert str(Pattern(("h",), ())) == "h -> 1 x1"
    assert group("a", "b", "read").name == "a -> b.read"


def test_a_matrix_held_in_memory() -> None:
    array = np.zeros((2, 3), np.int8)
    assert InMemory(array).shape == (2, 3)
    assert InMemory(array).load() is array


@pytest.mark.parametrize(("cores", "chips"), [(1, 1), (120, 1), (121, 2), (240, 2), (241, 3)])
def test_the_last_chip_need_not_be_full(cores: int, chips: int) -> None:
    assert Placement("loihi2", cores, 120, 8, (), ()).chips == chips


def net() -> Netlist:
    """a [h 2, d 3] and b [h 2, j 4], to c."""
    populations = [population("a", h=2, d=3), population("b", h=2, j=4), population("c", d=3)]
    return wire(populations, [group("a", "b"), group("b", "c", "b"), group("a", "c")])


def test_the_period_ends_with_the_last_phase() -> None:
    made = net()
    made.phases = ((0, 4), (4, 9))
    assert made.period == 9
    made.phases = ()
    assert made.period == 0


def test_values_of_a_patch() -> None:
    made = net()
    made.tables = [HostTable("c", "position", 0, None), HostTable("a", "patch", 0, None)]
    assert made.pixels == 6
    made.tables = [HostTable("c", "token", 0, None)]
    assert made.pixels == 0


def test_groups_in_and_out() -> None:
    made = net()
    assert [g.name for g in made.into("c")] == ["b -> c.b", "a -> c.a"]
    assert [g.name for g in made.out_of("a")] == ["a -> b.a", "a -> c.a"]


def test_how_many_synapses_a_compartment_reaches() -> None:
    made = net()
    along = Synapses("a", "b", "a", Pattern(("h", "d"), ("h", "j")))
    assert made.fan_out(along).tolist() == [4] * 6
    assert made.fan_out(Synapses("a", "c", "a", Pattern(("h", "d"), ("d",)))).tolist() == [1] * 6
    dense = Synapses("a", "b", "a", Dense(InMemory(np.zeros((8, 6), np.int8))))
    assert made.fan_out(dense).tolist() == [8] * 6
    gather = Gather(np.array([4, 0, 4], np.int32), np.ones(3, np.int8))
    fan_out = made.fan_out(Synapses("a", "c", "a", gather))
    assert fan_out.tolist() == [1, 0, 0, 0, 2, 0]
    assert fan_out.dtype == np.int64


def test_an_update_replaces_fields() -> None:
    made = net()
    made.update("a", layer=7)
    assert (made.populations["a"].layer, made.populations["a"].n) == (7, 6)
    assert made.populations["b"].layer == -1


def coded(kind: str, **params: Any) -> Netlist:
    """x, of unit 0.5, into two channels of code; the first group comes to another port."""
    code = Population("code", kind, {"d": 2}, params, (1,), (1,), unit=9.0)
    source = Population("x", "input", {"d": 2}, {}, (0,), (0,), unit=0.5)
    return wire([source, code], [group("code", "code", "veto"), group("x", "code", "x")])


def test_what_a_payload_stands_for() -> None:
    one = coded("encode", multiplier=np.array([4]), shift=np.array([1]))
    assert one.units("code").tolist() == [9.0]
    assert one.units("x").tolist() == [0.5]
    each = coded("encode", multiplier=np.array([4, 1]), shift=np.array([1, 3]))
    assert each.units("code").tolist() == [0.25, 4.0]


@pytest.mark.parametrize(("drive", "units"), [(0, [0.5, 2.0]), (1, [0.125, 0.5])])
def test_what_a_fired_spike_stands_for(drive: int, units: list[float]) -> None:
    """The last spike takes 6 of the potential and counts 3; four steps of drive share it."""
    params: dict[str, Any] = {"multiplier": np.array([2, 1]), "shift": np.array([0, 1])}
    params |= {"steps": 4, "theta": np.array([9, 8, 6]), "send": np.array([1, 2, 3])}
    made = coded("fire", **params, drive=drive, lift=np.array([0, 0]))
    assert made.units("code").tolist() == units
    made = coded("fire", **params, drive=drive, lift=np.array([0, 2]))
    assert made.units("code").tolist() == [units[0], units[1] / 4]


def test_wiring_is_an_index_of_the_groups() -> None:
    made = net()
    wiring = Wiring(made)
    assert [g.name for g in wiring.into("c")] == ["b -> c.b", "a -> c.a"]
    assert [g.name for g in wiring.into("c", "a")] == ["a -> c.a"]
    assert wiring.into("a") == []
    assert [g.name for g in wiring.out_of("a")] == ["a -> b.a", "a -> c.a"]
    assert [(i, g.name) for i, g in wiring.numbered_out_of("a")] == [
        (0, "a -> b.a"),
        (2, "a -> c.a"),
    ]
    assert [p.name for p in wiring.ends(made.synapses[1])] == ["b", "c"]
    assert wiring.source("c", "b") == "b"
    assert wiring.source("c", "a") == "a"
    assert wiring.pattern(made.synapses[0]) == Pattern((), ())
    assert wiring.pattern(Synapses("a", "b", "a", Dense(InMemory(np.zeros((1, 1)))))) is None


def store(*readers: str) -> Netlist:
    """A store m, and what writes and reads it; m is read out into out."""
    populations = [
        population("w", "product", 1),
        population("r", "encode", 2, 4),
        population("m", "memory", 3),
        population("m2", "memory", 3),
        population("out", "integrate", 9),
    ]
    groups = [group("w", "m", "write"), *(group(name, "m", "read") for name in readers)]
    groups += [group("m", "out"), group("m", "out", "enable"), group("r", "out")]
    return wire(populations, groups)


def test_spikes_arrive_a_step_after_they_are_sent() -> None:
    made = store("r")
    assert Wiring(made).arrivals(group("r", "m")) == (3, 5)
    assert Wiring(made).arrivals(group("w", "m")) == (2,)


def test_whose_code_a_population_s_spikes_have() -> None:
    def coder(name: str, *readers: str) -> str | None:
        found = Wiring(store(*readers)).coder(name)
        return None if found is None else found.name

    assert coder("r") == "r"
    assert coder("m", "r") == "r"
    assert coder("m", "r", "m2") == "r"
    assert coder("m") is None
    assert coder("m", "m2") is None
    assert coder("m", "m2", "r") is None


def test_who_sums_a_population_s_spikes() -> None:
    wiring = Wiring(store("r"))
    assert [g.name for g in wiring.receivers("r")] == [
        "m -> out.a",
        "m -> out.enable",
        "r -> out.a",
    ]
    assert [g.name for g in wiring.receivers("w")] == ["w -> m.write"]
    assert wiring.receivers("out") == []


def test_a_timetable() -> None:
    """w at 1 and r at 2 and 4; m answers a step after r; the feedback is not waited for."""
    made = store("r")
    made.synapses.append(group("out", "r", "x", feedback=True))
    table = Timetable(made)
    assert (table.begin, table.steps, table.sends) == (0, {}, {})
    table.assign("w", (0, 1))
    made.update("r", params={"steps": 2})
    table.assign("r", (1, 2, 4))
    table.assign("m", (2, 3))
    assert table.steps == {"w": (0, 1), "r": (1, 2, 4), "m": (2, 3)}
    assert table.sends == {"w": (1,), "r": (2, 4), "m": ()}
    assert table.sends_of("r") == (2, 4)
    assert table.sends_of("m") == (3, 5)
    assert table.arrivals("m") == (2, 3, 5)
    assert table.arrivals("m", "write") == (2,)
    assert table.arrivals("out") == (3, 4, 5, 6)
    assert table.arrivals("r") == ()
    assert table.stores_read_by("r") == ["m"]
    assert table.stores_read_by("w") == []


def test_a_fault_names_the_part_and_the_remedy() -> None:
    need(True, "x", "is wrong")
    need(1, "x", "is wrong")
    with pytest.raises(NetlistError) as refused:
        need(0, "population `x`", "is wrong")
    assert str(refused.value) == (
        "population `x`: is wrong; help: compile the model again (las-compile); if the fault"
        " stays, report it"
    )

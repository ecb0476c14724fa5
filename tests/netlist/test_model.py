"""Networks: sizes, fan-out, units, wiring and the timetable, by hand."""

from dataclasses import replace
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
    Written,
    slice_limit,
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
    assert Placement("loihi2", cores, 120, 8, 1, (), ()).chips == chips


@pytest.mark.parametrize(
    ("limit", "slices"),
    [
        (1, 1),
        (63, 1),
        (64, 2),
        (8127, 2),
        (8128, 3),
        (1040319, 3),
        (1040320, 4),
        (8388607, 4),
    ],
)
def test_how_many_synapses_hold_a_written_weight(limit: int, slices: int) -> None:
    """A slice holds -64 .. 63, so n slices reach 63, 63 + 63 * 128, and so on."""
    assert Written(("j",), "value", "pointer", limit).slices == slices


@pytest.mark.parametrize(("slices", "limit"), [(1, 63), (2, 8127), (3, 1040319), (4, 133160895)])
def test_what_slices_hold_with_either_sign(slices: int, limit: int) -> None:
    assert slice_limit(slices) == limit


def test_what_written_synapses_hold() -> None:
    """Sizes are those of the value's axes, and as many slots as the pointer has compartments."""
    populations = [population("v", d=3, h=2), population("p", "pointer", j=4)]
    made = wire(populations, [])
    form = Written(("h", "j", "d"), "v", "p", 9)
    assert list(made.content_axes(form).items()) == [("h", 2), ("j", 4), ("d", 3)]
    assert form.slot_axis == 1
    made.update("p", axes={})
    assert made.content_axes(form) == {"h": 2, "j": 1, "d": 3}


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
    two_slices = Written(("h", "j", "d"), "c", "b", 64)
    assert made.fan_out(Synapses("a", "b", "a", two_slices)).tolist() == [8] * 6
    assert made.fan_out(Synapses("b", "c", "a", two_slices)).tolist() == [6] * 8
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


def attention() -> Netlist:
    """v is written at p's slot; the code r reads it into out, which f gates; t reads it back."""
    populations = [
        population("v", "product", 1),
        population("p", "pointer", 1),
        population("r", "encode", 2, 4),
        population("f", "pointer", 2),
        population("t", "pointer", 6),
        population("out", "integrate", 9),
    ]
    written = Written(("j",), "v", "p", 9)
    groups = [
        Synapses("r", "out", "a", written),
        group("v", "r", "x"),
        Synapses("f", "out", "enable", replace(written, value="f")),
        Synapses("t", "out", "a", written),
    ]
    return wire(populations, groups)


def test_spikes_arrive_a_step_after_they_are_sent() -> None:
    made = attention()
    assert Wiring(made).arrivals(made.synapses[0]) == (3, 5)
    assert Wiring(made).arrivals(made.synapses[1]) == (2,)


def test_the_written_groups_of_a_net() -> None:
    made = attention()
    wiring = Wiring(made)
    forms = [group.form for group in made.synapses]
    assert wiring.written == [(0, forms[0]), (2, forms[2]), (3, forms[3])]
    assert wiring.reads("r") == [forms[0]]
    assert wiring.reads("v") == []
    assert wiring.points("p") == [forms[0], forms[2], forms[3]]
    assert wiring.points("f") == wiring.points("v") == []


def test_a_timetable() -> None:
    """v at 1 and r at 2 and 4; the feedback is not waited for."""
    made = attention()
    made.synapses.append(group("out", "r", "x", feedback=True))
    table = Timetable(made)
    assert (table.begin, table.steps, table.sends) == (0, {}, {})
    table.assign("v", (0, 1))
    made.update("r", params={"steps": 2})
    table.assign("r", (1, 2, 4))
    table.assign("f", (2,))
    table.assign("t", (6,))
    assert table.steps == {"v": (0, 1), "r": (1, 2, 4), "f": (2,), "t": (6,)}
    assert table.sends == {"v": (1,), "r": (2, 4), "f": (2,), "t": (6,)}
    assert table.arrivals("out") == (3, 5, 7)
    assert table.arrivals("out", "a") == (3, 5, 7)
    assert table.arrivals("out", "enable") == (3,)
    assert table.arrivals("r") == (2,)
    assert table.arrivals("v") == ()


def test_when_what_writes_and_what_reads_is_scheduled() -> None:
    """A pointer fires with the value that it writes, or with the digits that it gates.

    The first digit leaves a step after the value is written, though its own value came at 2.
    """
    made = attention()
    table = Timetable(made)
    table.begin = 1
    table.assign("v", (5, 6))
    p, r, f, t = (made.populations[name] for name in ("p", "r", "f", "t"))
    assert p.does.timing.steps(table, p) == (6,)
    made.update("r", params={"steps": 3})
    r = made.populations["r"]
    assert r.does.timing.steps(table, r) == (7, 8, 9)
    table.assign("r", (7, 8, 9))
    assert f.does.timing.steps(table, f) == (7,)
    assert t.does.timing.steps(table, t) == (1,)


def test_a_fault_names_the_part_and_the_remedy() -> None:
    need(True, "x", "is wrong")
    need(1, "x", "is wrong")
    with pytest.raises(NetlistError) as refused:
        need(0, "population `x`", "is wrong")
    assert str(refused.value) == (
        "population `x`: is wrong; help: compile the model again (las-compile); if the fault"
        " stays, report it"
    )

"""A netlist as text, word for word."""

from dataclasses import replace

import numpy as np
from wiring import wire

from compiler.netlist.model import (
    Block,
    Dense,
    Gather,
    HostTable,
    InMemory,
    Netlist,
    Pattern,
    Placement,
    Population,
    Synapses,
    Tile,
)
from compiler.netlist.text import array_text, text, value_text


def test_an_array_by_type_shape_and_digest() -> None:
    """The digests are those of the bytes 1 2 3 and 0 0 0 0."""
    three = np.array([1, 2, 3], np.int8)
    assert array_text(three) == "int8[3] 039058c6f2c0"
    assert array_text(InMemory(three)) == "int8[3] 039058c6f2c0"
    assert array_text(np.array([[1, 2, 3, 0], [0] * 4], np.int8)[:, :3][:1]) == (
        "int8[1, 3] 039058c6f2c0"
    )
    assert array_text(np.array([0], np.int32)) == "int32[1] df3f619804a9"


class Planned:
    """A matrix of a plan, whose weights nobody has."""

    shape = (5, 7)

    def load(self) -> None:
        raise ValueError


def test_a_plan_has_no_weights() -> None:
    assert array_text(Planned()) == "[5, 7]"


def test_a_value_in_one_word() -> None:
    assert value_text(7) == "7"
    assert value_text((1, 2)) == "(1,2)"
    assert value_text(np.array([9])) == "9"
    assert value_text(np.array([1, 2, 3], np.int8)) == "int8[3] 039058c6f2c0"
    assert value_text((0,) * 12) == "(0,0,0,0,0,0,0,0,0,0,0,0)"
    assert value_text((0,) * 13) == "int64[13] 39f37f8d1931"


def net() -> Netlist:
    source = Population("in", "input", {"d": 2}, {}, (0,), (0,), unit=0.25)
    params = {"shift": (0, 1), "low": -9, "bias": np.array([4])}
    out = Population("out", "integrate", {"h": 1, "d": 2}, params, (1, 2), (2,), role="part")
    loose = Population("loose", "any", {}, {})
    dense = Dense(InMemory(np.array([[1, 2], [3, 0]], np.int8)), 4)
    gather = Gather(np.array([0], np.int32), np.array([1, 2, 3], np.int8))
    made = wire(
        [source, loose, out],
        [
            Synapses("in", "out", "a", dense),
            Synapses("in", "out", "a", Pattern(("d",), ("h", "d"), 2), feedback=True),
            Synapses("in", "out", "enable", gather),
        ],
        tables=[HostTable("in", "position", 2, InMemory(np.array([0], np.int32)))],
    )
    return replace(made, phases=((0, 2), (2, 3)))


LINES = [
    "phase  0  steps 0..1",
    "phase  1  steps 2..2",
    "population  in  input  [d=2] n=2  steps=0..0 (1)  unit=0.25",
    "population  loose  any  [] n=1  steps=unscheduled (0)  unit=1",
    "population  out  integrate  part  [h=1 d=2] n=2  steps=1..2 (2)  unit=1"
    "  shift=(0,1) low=-9 bias=4",
    "synapses  in -> out.a  dense 4 bits int8[2, 2] 1666d9845b24",
    "synapses  in -> out.a  pattern d -> h d x2  feedback",
    "synapses  in -> out.enable  gather int32[1] df3f619804a9 weights int8[3] 039058c6f2c0",
    "table  in  position+2  int32[1] df3f619804a9",
]


def test_one_line_a_thing() -> None:
    assert text(net()) == "\n".join(LINES) + "\n"


def test_the_placement_comes_last() -> None:
    tiles = (Tile("in", 0, 2, 0), Tile("out", 1, 2, 3))
    placement = Placement("loihi2", 4, 2, 2, 1, tiles, (Block(0, (0, 1), (1, 2), 3),))
    lines = text(replace(net(), placement=placement)).splitlines()
    assert lines[len(LINES) :] == [
        "cores  4  chips 2  target loihi2",
        "tile  in[0:2]  core 0",
        "tile  out[1:2]  core 3",
        "block  in -> out.a[0:1, 1:2]  core 3",
    ]

"""What `check` refuses of written synapses: each fault alone, put into a netlist that is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from wiring import wire

from compiler.netlist.check import check
from compiler.netlist.model import HostTable, InMemory, Netlist, Pattern, Population, Synapses
from compiler.netlist.model import Written as Form
from las_neuro.errors import NetlistError

SUM: dict[str, Any] = {
    "shift": (0,), "cut": (0,), "low": -9, "high": 9, "gated": 0, "safe": 0,
    **{name: np.zeros(1, np.int64) for name in ("multiplier", "divide", "bias")},
}  # fmt: skip
KEYS = 1  # number of the written group


def summer(name: str, at: int, **axes: int) -> Population:
    return Population(name, "integrate", axes, SUM, (at,), (at,), 0)


def pointer(name: str, slots: int, at: int = 0) -> Population:
    return Population(name, "pointer", {"j": slots}, {"slots": slots}, (at,), (at,), 0)


def netlist() -> Netlist:
    """value [k 2, d 3] is written at `at`; query [k 2, g 2, d 3] meets it in scores [k, g, j 4]."""
    value = Population("value", "input", {"k": 2, "d": 3}, {}, (0,), (0,))
    other = Population("other", "input", {"d": 3}, {}, (0,), (0,))
    tables = [
        HostTable("value", "token", 0, InMemory(np.zeros((8, 6), np.int32))),
        HostTable("other", "token", 0, InMemory(np.zeros((8, 3), np.int32))),
    ]
    net = wire(
        [value, other, pointer("at", 4), summer("query", 1, k=2, g=2, d=3),
         summer("scores", 2, k=2, g=2, j=4), summer("out", 3, k=2)],
        [
            Synapses("value", "query", "a", Pattern(("k", "d"), ("k", "g", "d"))),
            Synapses("query", "scores", "a", Form(("k", "j", "d"), "value", "at", 9)),
            Synapses("scores", "out", "a", Pattern(("k", "g", "j"), ("k",))),
        ],
        tables=tables,
    )  # fmt: skip
    return replace(net, context=4)


def keys(net: Netlist, **changes: Any) -> None:
    """Change the written form."""
    group = net.synapses[KEYS]
    net.synapses[KEYS] = replace(group, form=replace(group.form, **changes))


def axes(net: Netlist, name: str, **sizes: int) -> None:
    """Give a population other axes; groups of patterns follow."""
    net.update(name, axes=sizes)
    for i, group in enumerate(net.synapses):
        if isinstance(group.form, Pattern):
            ends = (tuple(net.populations[end].axes) for end in (group.source, group.target))
            net.synapses[i] = replace(group, form=Pattern(*ends))


def ring(net: Netlist, slots: int) -> None:
    net.update("at", axes={"j": slots}, params={"slots": slots})


def late(net: Netlist, *names: str) -> None:
    """Send at step 1, as the query does."""
    for name in names:
        net.update(name, steps=(1,), sends=(1,))


FAULTS: dict[str, tuple[Callable[[Netlist], Any], str]] = {
    "no value": (lambda n: keys(n, value="x"), "there is no population `x`"),
    "no pointer": (lambda n: keys(n, pointer="x"), "there is no population `x`"),
    "two slots at once": (lambda n: keys(n, pointer="other"), "`other` is no pointer to slots"),
    "another axis": (
        lambda n: n.update("at", axes={"i": 4}),
        "`at` points along other axes",
    ),
    "too many slots": (lambda n: ring(n, 5), "5 slots for 4 tokens"),
    "an encoder's ring": (
        lambda n: (ring(n, 3), setattr(n, "causal", False)),
        "3 slots for 4 tokens",
    ),
    "no slots": (lambda n: keys(n, axes=("k", "d")), "axes ('k', 'd') of values along ('k', 'd')"),
    "slots twice": (lambda n: keys(n, axes=("k", "j", "j", "d")), "of values along ('k', 'd')"),
    "an axis too few": (lambda n: keys(n, axes=("j", "d")), "of values along ('k', 'd')"),
    "an axis too many": (
        lambda n: keys(n, axes=("k", "g", "j", "d")),
        "of values along ('k', 'd')",
    ),
    "an axis twice": (lambda n: keys(n, axes=("k", "k", "j", "d")), "of values along ('k', 'd')"),
    "another order": (lambda n: keys(n, axes=("d", "j", "k")), "of values along ('k', 'd')"),
    "slots in the value": (
        lambda n: axes(n, "value", k=2, j=3),
        "axes ('k', 'j', 'd') of values along ('k', 'j')",
    ),
    "no limit": (lambda n: keys(n, limit=0), "limit 0"),
    "a limit below 0": (lambda n: keys(n, limit=-1), "limit -1"),
    "a limit beyond a word": (lambda n: keys(n, limit=2**23), "limit 8388608"),
    "a source of other size": (
        lambda n: (axes(n, "query", k=2, g=2, d=2), n.synapses.pop(0)),
        "axes {'k': 2, 'g': 2, 'd': 2} of `query`, {'k': 2, 'j': 4, 'd': 3} of the content",
    ),
    "a target of other size": (
        lambda n: axes(n, "scores", k=2, g=2, j=3),
        "axes {'k': 2, 'g': 2, 'j': 3} of `scores`, {'k': 2, 'j': 4, 'd': 3} of the content",
    ),
    "ends of other size": (
        lambda n: axes(n, "scores", k=2, g=3, j=4),
        "axes {'k': 2, 'g': 2, 'd': 3} of the source, {'k': 2, 'g': 3, 'j': 4} of the target",
    ),
    "an axis at neither end": (
        lambda n: axes(n, "scores", k=2, g=2),
        "no end has all of ('k', 'j', 'd')",
    ),
    "a sum over others' axes": (
        lambda n: axes(n, "scores", k=2, j=4),
        "sums over ['g'], which no weight has",
    ),
    "value and pointer apart": (
        lambda n: late(n, "at"),
        "value and pointer are not sent in the same step",
    ),
    "read too soon": (
        lambda n: (late(n, "value", "at"), n.synapses.pop(0)),
        "`query` sends before its weights are written",
    ),
}


def test_the_netlist_is_right() -> None:
    net = netlist()
    check(net)
    ring(net, 3)  # a ring of a decoder
    axes(net, "scores", k=2, g=2, j=3)
    check(net)
    ring(net, 1)
    net.update("at", axes={})
    axes(net, "scores", k=2, g=2, j=1)
    check(net)
    keys(net, limit=2**23 - 1)
    check(net)
    keys(net, limit=1, axes=("k", "d", "j"))
    check(net)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_named(fault: str) -> None:
    spoil, said = FAULTS[fault]
    net = netlist()
    spoil(net)
    with pytest.raises(NetlistError) as caught:
        check(net)
    assert "synapses `query -> scores.a`: " in str(caught.value)
    assert said in str(caught.value)


def test_a_value_sent_twice_is_written_at_no_step() -> None:
    """A code is no number: value and pointer send once."""
    net = netlist()
    code: dict[str, Any] = {
        name: np.zeros(1, np.int64) for name in ("shift", "skipped", "outliers")
    }
    code |= {"multiplier": np.ones(1, np.int64), "digits": 2, "digit_bits": 1, "signed_digit": 0}
    code |= {"steps": 2, "early": 0, "outlier_shift": 0}
    net.populations["code"] = Population("code", "encode", {"k": 2, "d": 3}, code, (1, 2), (1, 2))
    net.synapses.append(Synapses("value", "code", "x", Pattern(("k", "d"), ("k", "d"))))
    check(net)
    keys(net, value="code")
    with pytest.raises(NetlistError, match="value and pointer are not sent in the same step"):
        check(net)


def test_a_port_that_takes_no_sums_takes_one_written_weight() -> None:
    """A gate: one flag a compartment.  A sum over slots is refused there."""
    net = netlist()
    net.populations["flag"] = replace(pointer("flag", 1), axes={})
    net.populations["clock"] = replace(pointer("clock", 1, 1), axes={})
    net.update("scores", params={**SUM, "gated": 1})
    net.synapses.append(Synapses("clock", "scores", "enable", Form(("j",), "flag", "at", 1)))
    check(net)
    net.update("out", steps=(2,), sends=(2,), params={**SUM, "gated": 1})
    net.update("scores", params=SUM)
    net.populations["turn"] = pointer("turn", 4, 1)
    net.synapses[2:] = [
        Synapses("query", "out", "a", Pattern(("k", "g", "d"), ("k",))),
        Synapses("turn", "out", "enable", Form(("j",), "flag", "at", 1)),
    ]
    with pytest.raises(NetlistError, match=r"`turn -> out\.enable`: port enable takes no sums"):
        check(net)

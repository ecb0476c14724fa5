"""What `check` refuses: each fault alone, put into a netlist that is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trained_models import spikelm

from compiler.convert import convert
from compiler.mapping.partition import partition
from compiler.netlist.check import check
from compiler.netlist.kinds import KINDS
from compiler.netlist.model import Dense, Gather, InMemory, Netlist, Pattern, Population, Synapses
from compiler.pipeline import build
from compiler.targets import target as targets
from las_neuro.errors import NetlistError
from las_neuro.systems import find

SaveModel = Callable[..., Path]
BUILT: dict[str, Netlist] = {}
A = "layers.0.self_attn."
SCORES, QUERY, TOP = A + "scores", A + "q_proj", A + "top"
COMPETE, REFEREE = TOP + ".compete", TOP + ".referee"
NORM = "layers.0.input_layernorm"
EMBED = "embed_tokens"


def compiled(family: str, save_model: SaveModel) -> Netlist:
    if family not in BUILT:
        heads = {"num_key_value_heads": 2} if family == "mistral" else {}
        made = build(convert(save_model(family, **heads), context=16)[1])
        BUILT[family] = partition(made, targets.load("loihi2"))
    made = BUILT[family]
    return replace(
        made,
        populations=dict(made.populations),
        synapses=list(made.synapses),
        tables=list(made.tables),
    )


@pytest.fixture
def net(save_model: SaveModel) -> Netlist:
    return compiled("llama", save_model)


@pytest.mark.parametrize("family", ["llama", "mistral", "opt", "bert"])
def test_what_the_compiler_makes_is_right(save_model: SaveModel, family: str) -> None:
    made = compiled(family, save_model)
    check(made)
    check(replace(made, placement=None))


def test_every_kind_is_in_the_netlist(net: Netlist) -> None:
    assert {p.kind for p in net.populations.values()} == set(KINDS) - NEURONS


NEURONS = {"fire", "few_spikes", "leak"}  # of systems other than LAS
NEURON: dict[str, tuple[dict[str, Any], str]] = {
    "short table": ({"theta": np.array([1])}, "tables of"),
    "no threshold": ({"theta": np.zeros(8, np.int64)}, "a threshold is 0"),
    "strict below 0": ({"theta": np.full(8, -1), "strict": 1}, "is strict below 0"),
    "wide reset": ({"reset": np.full(8, 2**20)}, "its potential reaches"),
    "wide reset below 0": ({"reset": np.full(8, -(2**20))}, "its potential reaches"),
    "resets that cancel": ({"reset": np.array([-1, 1] * 4) << 20}, "its potential reaches"),
    "wide quanta": ({"reset": np.full(8, 2**13), "level": 255}, "its potential reaches"),
    "no quanta": ({"most": 0}, "sends 0 quanta"),
    "too many quanta": ({"most": 2}, "sends 2 quanta of 1"),
    "empty range": ({"low": np.array([9]), "high": np.array([8])}, "a range is empty"),
    "wide potential": ({"high": np.array([2**23 - 1])}, "its potential reaches"),
    "wide spike": ({"send": np.full(8, 2**15 - 1), "lift": np.array([15])}, "a spike of"),
    "other steps": ({"steps": 9}, "firings in"),
    "wide lift": ({"lift": np.array([16])}, "lift"),
}


@pytest.mark.parametrize("case", NEURON)
def test_a_neuron_that_cannot_be(save_model: SaveModel, case: str) -> None:
    made = build(convert(save_model("llama"), context=16, system=find("phase"))[1])
    check(made)
    values, fault = NEURON[case]
    param(made, of(made, "fire").name, **values)
    with pytest.raises(NetlistError, match=fault):
        check(made)


def test_a_leak_that_cannot_be(save_model: SaveModel) -> None:
    made = build(convert(spikelm(save_model("llama")), context=16, system=find("spikelm"))[1])
    check(made)
    name = of(made, "leak").name
    param(made, name, threshold=-1)
    with pytest.raises(NetlistError, match="threshold"):
        check(made)
    param(made, name, threshold=1, gain=np.array([2**16]))
    with pytest.raises(NetlistError, match="gain"):
        check(made)


def of(net: Netlist, kind: str) -> Population:
    return next(p for p in net.populations.values() if p.kind == kind)


def param(net: Netlist, name: str, **values: Any) -> None:
    net.update(name, params={**net.populations[name].params, **values})


def without(net: Netlist, name: str, key: str) -> None:
    params = net.populations[name].params
    net.update(name, params={k: v for k, v in params.items() if k != key})


def group(net: Netlist, source: str, target: str, /, **changes: Any) -> None:
    """Change the group between two populations."""
    i = next(i for i, g in enumerate(net.synapses) if (g.source, g.target) == (source, target))
    net.synapses[i] = replace(net.synapses[i], **changes)


def group_of(net: Netlist, form: type) -> Synapses:
    return next(g for g in net.synapses if isinstance(g.form, form))


def drop(net: Netlist, source: str, target: str) -> None:
    net.synapses = [g for g in net.synapses if (g.source, g.target) != (source, target)]


def join(net: Netlist, source: str, target: str, port: str, **more: Any) -> None:
    axes = [tuple(net.populations[name].axes) for name in (source, target)]
    net.synapses.append(Synapses(source, target, port, Pattern(*axes), **more))


def late(net: Netlist, name: str, by: int = 1) -> None:
    """Book a population later."""
    p = net.populations[name]
    moved = [tuple(step + by for step in steps) for steps in (p.steps, p.sends)]
    net.update(name, steps=moved[0], sends=moved[1])


Spoil = Callable[[Netlist], Any]
ENCODER = NORM + ".spikes"

WHOLE: dict[str, tuple[Spoil, str]] = {
    "no phases": (lambda n: setattr(n, "phases", ()), "phases; a decoder has one"),
    "empty phase": (lambda n: setattr(n, "phases", ((0, 0),)), "phase 0 is 0..0"),
    "late start": (lambda n: setattr(n, "phases", ((1, 400),)), "phase 0 is 1..400"),
    "two phases": (lambda n: setattr(n, "phases", ((0, 4), (4, 400))), "2 phases"),
    "short": (lambda n: setattr(n, "phases", ((0, 100),)), "steps outside the phases"),
    "no context": (lambda n: setattr(n, "context", 0), "context 0"),
    "small memory": (lambda n: setattr(n, "context", 15), "slots for 15 tokens"),
    "no output": (lambda n: setattr(n, "output", "nobody"), "no output `nobody`"),
    "odd output": (lambda n: setattr(n, "output_kind", "smell"), "smell is no output"),
    "wrong output": (lambda n: setattr(n, "output", QUERY), "24 logits for a vocabulary"),
    "coded output": (
        lambda n: (setattr(n, "output", ENCODER), setattr(n, "output_kind", "hidden")),
        "sent 16 times",
    ),
}
PARAMETERS: dict[str, tuple[Spoil, str]] = {
    "kind": (lambda n: n.update(QUERY, kind="dream"), f"`{QUERY}`: 'dream' is no kind"),
    "name": (lambda n: renamed(n, QUERY), f"`{QUERY}`: is called 'else'"),
    "slash": (lambda n: n.populations.update({"a/b": replace(of(n, "input"), name="a/b")}), "a/b"),
    "no axis": (lambda n: n.update(QUERY, axes={"k": 0}), "axes"),
    "huge": (lambda n: n.update(QUERY, axes={"k": 2**30, "d": 2**30}), "compartments"),
    "missing": (lambda n: without(n, QUERY, "bias"), "'bias'] missing"),
    "unknown": (lambda n: param(n, QUERY, leak=1), "integrate has no ['leak']"),
    "real": (lambda n: param(n, QUERY, low=-1.5), "-1.5 is no integer"),
    "nan": (lambda n: param(n, QUERY, high=float("nan")), "nan is no integer"),
    "truth": (lambda n: param(n, QUERY, gated=True), "True is no integer"),
    "reals": (lambda n: param(n, QUERY, bias=np.zeros(24)), "bias: is no array of int64"),
    "narrow": (lambda n: param(n, QUERY, bias=np.zeros(24, np.int32)), "is no array of int64"),
    "square": (lambda n: param(n, QUERY, bias=np.zeros((4, 6), np.int64)), "is no array"),
    "lone": (lambda n: param(n, QUERY, bias=3), "is no array of int64"),
    "array": (lambda n: param(n, QUERY, low=np.zeros(24, np.int64)), "one integer, not an array"),
    "length": (lambda n: param(n, QUERY, bias=np.zeros(23, np.int64)), "23 values for 24"),
    "wide": (lambda n: param(n, QUERY, bias=np.full(24, 2**23)), "8388608 is not in -8388607.."),
    "multiplier": (lambda n: param(n, QUERY, multiplier=np.full(1, 32769)), "32768"),
    "negative": (lambda n: param(n, QUERY, divide=np.full(1, -1)), "-1..-1 is not in 0..63"),
    "cut": (lambda n: param(n, QUERY, cut=(32,) * 16), "is not in 0..31"),
    "first cut": (lambda n: param(n, QUERY, cut=(1,) * 16), "cuts before anything came"),
    "few shifts": (lambda n: param(n, QUERY, shift=(0,) * 15), "is not 16 integers"),
    "limits": (lambda n: param(n, QUERY, low=5, high=4), "low 5 over high 4"),
    "digits": (lambda n: param(n, ENCODER, steps=15), "digits in 16 steps"),
    "early": (lambda n: param(n, ENCODER, early=1), "digits in 16 steps"),
    "no digits": (lambda n: param(n, ENCODER, digit_bits=0), "0 binary digits in a spike"),
    "wide digits": (lambda n: param(n, ENCODER, digit_bits=9), "9 binary digits in a spike"),
    "spikes": (lambda n: param(n, ENCODER, digits=17), "16 spikes for 17 digits"),
    "signed": (
        lambda n: param(n, ENCODER, signed_digit=1, digit_bits=2),
        "signed digits are sent one by one",
    ),
    "long": (lambda n: param(n, ENCODER, digits=24), "24 digits and a sign in 24 bits"),
    "loud": (lambda n: param(n, ENCODER, outlier_shift=8), "an outlier's payload of 256"),
    "skipped": (lambda n: param(n, ENCODER, skipped=np.full(1, 16)), "skips 16 of 16 digits"),
    "arrivals": (lambda n: param(n, NORM + ".normal", arrivals=1), "1 arrivals in 2 steps"),
    "lines": (lambda n: param(n, NORM + ".inverse", lines_log2=6), "have not 128 lines"),
    "root": (lambda n: param(n, NORM + ".inverse", root=2), "2..2 is not in 0..1"),
    "slope": (
        lambda n: param(n, of(n, "segment").name, slope=np.full(9, 2**18)),
        "262144 is not in -131072..131072",
    ),
    "rising": (
        lambda n: param(n, A + "weights", slope=-n.populations[A + "weights"].params["slope"]),
        "a line rises",
    ),
    "slots": (lambda n: param(n, A + "keys.pointer", slots=8), "8 slots"),
    "small ring": (
        lambda n: n.update(A + "keys.pointer", axes={"j": 8}, params={"slots": 8}),
        "axes",
    ),
    "bits": (lambda n: param(n, COMPETE, drop=10), "of the 23 bits of a value never compete"),
    "rounds": (lambda n: param(n, COMPETE, bits=13), "13 bits in "),
}
SYNAPSES: dict[str, tuple[Spoil, str]] = {
    "source": (lambda n: group(n, ENCODER, QUERY, source="x"), "there is no population `x`"),
    "target": (lambda n: group(n, ENCODER, QUERY, target="x"), "there is no population `x`"),
    "port": (lambda n: group(n, ENCODER, QUERY, port="ear"), "there is no such port"),
    "host": (lambda n: join(n, ENCODER, EMBED, "host"), "there is no such port"),
    "dense": (
        lambda n: group(n, ENCODER, QUERY, form=Dense(InMemory(np.zeros((24, 23), np.int8)))),
        "weights (24, 23), not (24, 24)",
    ),
    "bits": (lambda n: few_bits(n, 9, 1), "weights of 9 bits; a synapse has 1 to 8"),
    "no bits": (lambda n: few_bits(n, 0, 1), "weights of 0 bits; a synapse has 1 to 8"),
    "beyond": (lambda n: few_bits(n, 4, 8), "weights beyond 4 bits"),
    "below": (lambda n: few_bits(n, 4, -9), "weights beyond 4 bits"),
    "pattern": (
        lambda n: group(n, COMPETE, REFEREE, form=Pattern(("k",), ("k", "g"))),
        "axes that are not there",
    ),
    "sizes": (lambda n: join(n, EMBED, "layers.0.mlp.gated", "a"), "axes [('c', 24)]"),
    "weight": (
        lambda n: group(n, COMPETE, REFEREE, form=Pattern(("k", "g", "j"), ("k", "g"), 128)),
        "weight 128 is no int8",
    ),
    "weighted port": (
        lambda n: group(n, SCORES, COMPETE, form=Pattern(tuple("kgj"), tuple("kgj"), 2)),
        "port x takes no sums",
    ),
    "unproven weight": (
        lambda n: group(n, REFEREE, TOP, form=Pattern(("k", "g"), ("k", "g"), 2)),
        "no proof holds for weight 2",
    ),
    "gather far": (lambda n: gathered(n, index=24), "index over 24 sources"),
    "gather below": (lambda n: gathered(n, index=-1), "index over 24 sources"),
    "gather short": (lambda n: gathered(n, count=23), "index is (23,)"),
    "gather wide": (lambda n: gathered(n, dtype=np.int64), "index is int64"),
    "deaf": (lambda n: drop(n, ENCODER, QUERY), "0 groups into port a"),
    "crowd": (
        lambda n: join(n, NORM + ".inverse", NORM + ".normal", "b"),
        "2 groups into port b",
    ),
    "no enable": (lambda n: drop(n, SCORES + ".clock", SCORES), "nothing silences"),
    "no verdict": (lambda n: drop(n, REFEREE, COMPETE), "0 groups into port veto"),
    "no loop": (lambda n: group(n, REFEREE, COMPETE, feedback=False), "takes one graded value"),
    "mild": (
        lambda n: group(n, REFEREE, COMPETE, form=Pattern(("k", "g"), tuple("kgj"), -1)),
        "does not carry a verdict",
    ),
}
TIMES: dict[str, tuple[Spoil, str]] = {
    "unscheduled": (lambda n: n.update(QUERY, steps=(), sends=()), "is never updated"),
    "backwards": (
        lambda n: n.update(QUERY, steps=n.populations[QUERY].steps[::-1]),
        "out of order",
    ),
    "silent": (lambda n: n.update(QUERY, sends=()), "sends at"),
    "twice": (lambda n: n.update(QUERY, sends=n.populations[QUERY].steps[-2:]), "sends at"),
    "too late": (lambda n: late(n, ENCODER), "nobody listens at step"),
    "too early": (lambda n: late(n, QUERY), "nobody listens at step"),
    "input twice": (lambda n: n.update(EMBED, steps=(0, 1), sends=(1,)), "2 steps instead of one"),
    "after the end": (lambda n: late(n, n.output, 10_000), "steps outside the phases"),
    "pointer": (
        lambda n: late(n, A + "keys.pointer", -1),
        "value and pointer are not sent in the same step",
    ),
    "code": (lambda n: join(n, ENCODER, COMPETE, "x"), "nobody listens"),
    "weights of digits": (lambda n: param(n, QUERY, shift=(0,) * 16), "step 1 does not weigh"),
    "shifted value": (lambda n: param(n, NORM + ".variance", shift=(3,)), "shifted or after a cut"),
    "cut value": (lambda n: param(n, "layers.0.mlp_sum", cut=(0, 2)), "after a cut"),
    "long window": (
        lambda n: longer(n, QUERY),
        "the code and the target's window differ",
    ),
}
HOST: dict[str, tuple[Spoil, str]] = {
    "no table": (lambda n: n.tables.pop(), "host tables"),
    "two tables": (lambda n: n.tables.append(n.tables[0]), "host tables"),
    "source": (lambda n: table(n, source="dream"), "'dream' is no source"),
    "offset": (lambda n: table(n, offset=1), "not [62, 24]"),
    "below": (lambda n: table(n, offset=-1), "not [60, 24]"),
    "rows": (lambda n: table(n, rows=InMemory(np.zeros((61, 23), np.int32))), "rows (61, 23)"),
    "flat": (lambda n: table(n, rows=InMemory(np.zeros(61, np.int32))), "rows (61,)"),
}
PLACES: dict[str, tuple[Spoil, str]] = {
    "no cores": (lambda n: placed(n, cores=0), "cores (0,"),
    "no tiles": (lambda n: placed(n, tiles=()), "0 of 24 compartments have a core"),
    "no blocks": (lambda n: placed(n, blocks=()), "not all on cores"),
    "far core": (lambda n: tile(n, core=10**6), "core 1000000 of"),
    "nobody": (lambda n: tile(n, population="x"), "no population `x`"),
    "overlap": (lambda n: tile(n, start=1), "overlaps, or leaves a gap"),
    "no dense group": (lambda n: block(n, group=0), "group 0 has no blocks"),
    "outside": (lambda n: block(n, rows=(0, 10**6)), "is outside its group"),
    "far block": (lambda n: block(n, core=-1), "there are"),
}


def few_bits(net: Netlist, bits: int, weight: int) -> None:
    weights = np.full((24, 24), weight, np.int8)
    group(net, ENCODER, QUERY, form=Dense(InMemory(weights), bits))


def gathered(net: Netlist, index: int = 0, count: int = 24, dtype: type = np.int32) -> None:
    found = group_of(net, Gather)
    form = Gather(np.full(count, index, dtype), np.ones(count, np.int8))
    group(net, found.source, found.target, form=form)


def longer(net: Netlist, name: str) -> None:
    """One step more than the code has, before the others; the parameters follow."""
    p = net.populations[name]
    net.update(name, steps=(p.steps[0] - 1, *p.steps))
    param(net, name, shift=(0, *p.params["shift"]), cut=(0, *p.params["cut"]))


def renamed(net: Netlist, name: str) -> None:
    net.populations[name] = replace(net.populations[name], name="else")


def table(net: Netlist, **changes: Any) -> None:
    net.tables[0] = replace(net.tables[0], **changes)


def placed(net: Netlist, **changes: Any) -> None:
    assert net.placement is not None
    net.placement = replace(net.placement, **changes)


def tile(net: Netlist, **changes: Any) -> None:
    assert net.placement is not None
    first, *rest = net.placement.tiles
    placed(net, tiles=(replace(first, **changes), *rest))


def block(net: Netlist, **changes: Any) -> None:
    assert net.placement is not None
    first, *rest = net.placement.blocks
    placed(net, blocks=(replace(first, **changes), *rest))


FAULTS = {
    f"{part}, {name}": fault
    for part, faults in (
        ("whole", WHOLE),
        ("parameter", PARAMETERS),
        ("synapses", SYNAPSES),
        ("time", TIMES),
        ("host", HOST),
        ("placement", PLACES),
    )
    for name, fault in faults.items()
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_named(net: Netlist, fault: str) -> None:
    spoil, said = FAULTS[fault]
    check(net)
    spoil(net)
    with pytest.raises(NetlistError) as caught:
        check(net)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "; help: compile the model again" in str(caught.value)

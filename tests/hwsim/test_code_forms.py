"""Both engines give the same spikes in every form of the code, and the same model to its step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from engines import same_in_both

from compiler.convert import convert
from compiler.netlist.model import Netlist
from compiler.pipeline import build
from hwsim.backends.fast import byte_product
from hwsim.backends.fast.engine import Engine
from las_neuro.neurons.codes import FORMS
from las_neuro.systems import find

TOKENS = np.array([3, 60, 17, 17, 5])


def compiled(save_model: Callable[..., Path], family: str, form: str, digits: int) -> Netlist:
    _, graph = convert(save_model(family), system=find("las", {"steps": digits, "code": form}))
    return build(graph)


@pytest.mark.parametrize("digits", [4, 7, 12, 16])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("family", ["llama", "bert"])
def test_every_spike_and_every_count(
    save_model: Callable[..., Path], family: str, form: str, digits: int
) -> None:
    net = compiled(save_model, family, form, digits)
    same_in_both(net, TOKENS)


def outputs(net: Netlist) -> torch.Tensor:
    return Engine(net).run(TOKENS[None]).double() * net.populations[net.output].unit


@pytest.mark.parametrize("family", ["llama", "bert"])
def test_the_forms_are_one_model(save_model: Callable[..., Path], family: str) -> None:
    """Their difference is a code's rounding: it fades as the step does, to 0.4 % of the spread."""
    errors = []
    for digits in (8, 16):
        binary, signed, graded = (
            outputs(compiled(save_model, family, form, digits))
            for form in ("binary", "signed-digit", "graded")
        )
        errors.append(
            [float((x - binary).pow(2).mean().sqrt() / binary.std()) for x in (signed, graded)]
        )
    for coarse, fine in zip(*errors, strict=True):
        assert fine < 0.004
        assert coarse == 0 or fine < coarse / 16


def test_spikes_by_form(save_model: Callable[..., Path]) -> None:
    """Fewer spikes in signed digits, fewest in graded ones; steps only there."""
    spikes, periods = {}, {}
    for form in FORMS:
        net = compiled(save_model, "llama", form, 16)
        engine = Engine(net)
        engine.run(TOKENS[None])
        encoders = [p.name for p in net.populations.values() if p.kind == "encode"]
        spikes[form] = sum(int(engine.counters.populations[n].spikes.sum()) for n in encoders)
        periods[form] = net.period
    assert spikes["graded"] < spikes["signed-digit"] < 0.85 * spikes["binary"]
    assert periods["graded"] < periods["signed-digit"] == periods["binary"]


@pytest.mark.parametrize("form", FORMS)
def test_bytes_give_the_same(
    save_model: Callable[..., Path], form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = compiled(save_model, "llama", form, 16)
    with_bytes = Engine(net)
    first = with_bytes.run(TOKENS[None])
    if byte_product.exact():
        assert any(c.bytes for channels in with_bytes.into.values() for c in channels)
    monkeypatch.setattr(byte_product, "exact", lambda: False)
    assert torch.equal(first, Engine(net).run(TOKENS[None]))

"""One-block models with random weights, and the comparison of Lava with the stepper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engines import same_weights

from compiler.netlist.model import Netlist
from compiler.pipeline import build
from hwsim.backends.fast.engine import Engine
from hwsim.backends.lava import runtime
from hwsim.backends.step.stepper import Stepper
from hwsim.backends.traces import Trace, first_difference

TINY: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 8,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 8,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `lava` say why they do not run where Lava is not."""
    absent = pytest.mark.skip(reason="Lava is not installed: pip install las-neuro[lava]")
    for item in items:
        if item.get_closest_marker("lava") and not runtime.installed():
            item.add_marker(absent)


@pytest.fixture(scope="session")
def block(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Netlist]:
    """block(family, layers=1, ...) -> netlist of a random model with a context of 8 tokens."""
    from trained_models import TRAINED

    from compiler import convert
    from las_neuro.systems import find

    def make(
        family: str,
        layers: int = 1,
        code: str = "binary",
        steps: int = 4,
        system: str = "las",
        options: dict[str, Any] | None = None,
    ) -> Netlist:
        folder = tmp_path_factory.mktemp(f"{family}{layers}")
        save_model(family, layers, folder)
        if system in TRAINED:
            TRAINED[system](folder, steps)
        own = {"steps": steps, **(options or {})} | ({"code": code} if system == "las" else {})
        _, graph = convert(folder, system=find(system, own), context=8)
        return build(graph)

    return make


def save_model(family: str, layers: int, folder: Path) -> None:
    import torch
    from transformers import (
        BertConfig,
        BertModel,
        LlamaConfig,
        LlamaForCausalLM,
        MistralConfig,
        MistralForCausalLM,
    )

    torch.manual_seed(7)
    fields = TINY | {"num_hidden_layers": layers}
    if family == "bert":
        model = BertModel(BertConfig(**fields))
    elif family == "mistral":
        window = {"sliding_window": 3, "num_key_value_heads": 1}
        model = MistralForCausalLM(MistralConfig(**fields, **window))
    else:
        model = LlamaForCausalLM(LlamaConfig(**fields))
    with torch.no_grad():  # transformers' own start is so small that faults would hide
        for weight in model.parameters():
            weight.mul_(8.0).add_(torch.randn_like(weight) * 0.1)
    model.save_pretrained(folder, safe_serialization=True)


@pytest.fixture
def same() -> Callable[..., tuple[runtime.LavaRun, Trace]]:
    """same(net, tokens, mode): Lava and the stepper agree on every spike and count.

    The stepper's written weights are those of the fast engine.
    """

    def check(net: Netlist, tokens: Any, mode: str, timeout: float = 50) -> Any:
        tokens = np.asarray(tokens)
        expected, found = Trace(net), Trace(net)
        stepper = Stepper(net, expected.spike)
        read = stepper.run(tokens)
        done = runtime.run(net, tokens, mode=mode, on_spike=found.spike, timeout=timeout)
        assert str(first_difference(expected, found)) == "None"
        np.testing.assert_array_equal(done.payloads, read)
        assert stepper.counters.equals(done.counters) == []
        assert done.counters.tokens == len(tokens)
        assert read.any(), "a run without output proves nothing"
        if stepper.contents:
            engine = Engine(net)
            engine.run(tokens[None])
            same_weights(engine, stepper)
        print(f"{done.mode}: {done.processes} processes, {done.seconds:.1f} s")
        return done, found

    return check

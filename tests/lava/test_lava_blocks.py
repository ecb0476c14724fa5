"""Whole blocks and models inside Lava: every spike and count equals the stepper's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compiler.netlist.kinds import KINDS
from compiler.netlist.model import Netlist, Written
from compiler.netlist.wiring import Wiring
from compiler.pipeline import build

pytestmark = pytest.mark.lava
ROOT = Path(__file__).parents[2]
STORIES = ROOT.parent / "shared" / "data" / "stories260K" / "hf"
TINY_LM = ROOT / "examples" / "tiny_lm"

LAS_KINDS = set(KINDS) - {"fire", "few_spikes", "leak"}
Block = Callable[..., Netlist]
Same = Callable[..., Any]


@pytest.mark.slow
@pytest.mark.timeout(300)  # 20 s
def test_a_decoder_block_fine(block: Block, same: Same) -> None:
    """Every kind, every form of synapses and a feedback loop pass through Lava's own processes."""
    net = block("llama")
    assert {population.kind for population in net.populations.values()} == LAS_KINDS
    forms = {type(group.form).__name__ for group in net.synapses}
    assert forms == {"Dense", "Pattern", "Gather", "Written"}
    assert any(group.feedback for group in net.synapses)
    done, trace = same(net, [5, 9], "fine", timeout=280)
    # Of 2 heads: keys and values in 2 slices each, and the flags that gate scores.
    fixed = sum(not isinstance(group.form, Written) for group in net.synapses)
    assert done.processes == len(net.populations) + fixed + 2 * (2 + 2 + 1) > 100
    assert {net.populations[name].kind for name in trace.payloads} == LAS_KINDS
    assert {token for spikes in trace.payloads.values() for token, _ in spikes} == {0, 1}


@pytest.mark.slow
@pytest.mark.timeout(300)  # 15 s
def test_an_encoder_block_fine(block: Block, same: Same) -> None:
    """Two phases: each runs over all tokens before the next begins."""
    net = block("bert")
    assert len(net.phases) == 2
    same(net, [5, 9, 2], "fine", timeout=280)


@pytest.mark.timeout(60)  # 1 s
@pytest.mark.parametrize("family", ["llama", "bert"])
def test_two_layers_fused(block: Block, same: Same, family: str) -> None:
    net = block(family, layers=2)
    done, _ = same(net, [5, 9, 2, 7], "auto")
    assert (done.mode, done.processes) == ("fused", 4 if family == "llama" else 3)


@pytest.mark.timeout(60)  # 1 s
@pytest.mark.parametrize("code", ["signed-digit", "graded"])
def test_other_codes_fused(block: Block, same: Same, code: str) -> None:
    net = block("llama", layers=2, code=code, steps=12)
    widths = {p.params["digit_bits"] for p in net.populations.values() if p.kind == "encode"}
    assert (max(widths) > 1) == (code == "graded")
    done, _ = same(net, [5, 9, 2], "auto")
    assert done.mode == "fused"


@pytest.mark.timeout(60)  # 2 s
@pytest.mark.parametrize(
    ("system", "options", "steps"),
    [
        ("sdllm", {"train": "ternary"}, 7),
        ("sdllm", {"train": "bitwise"}, 15),
        ("spikellm", {}, 2),
        ("phase", {}, 8),
        ("fas", {}, 8),
        ("spikelm", {}, 2),
    ],
)
def test_other_systems_fused(
    block: Block, same: Same, system: str, options: dict[str, Any], steps: int
) -> None:
    net = block("llama", layers=2, system=system, options=options, steps=steps)
    assert "fire" in {population.kind for population in net.populations.values()}
    done, _ = same(net, [5, 9, 2], "auto")
    assert done.mode == "fused"


@pytest.mark.timeout(60)  # 1 s
def test_a_window_shorter_than_the_text(block: Block, same: Same) -> None:
    """Keys and values in three slots: from the fourth token on, the oldest is overwritten."""
    net = block("mistral", layers=2)
    assert {net.content_axes(form)["j"] for _, form in Wiring(net).written} == {3}
    same(net, [5, 9, 2, 7, 11, 30, 4], "auto")


@pytest.mark.slow
@pytest.mark.timeout(120)  # 2 s, and 6 s to convert
@pytest.mark.parametrize("folder", [STORIES, TINY_LM], ids=["stories260K", "tiny_lm"])
def test_trained_weights_fused(same: Same, folder: Path) -> None:
    if not (folder / "model.safetensors").is_file():
        pytest.skip(f"{folder} is not there")
    from compiler import convert

    _, graph = convert(folder, context=32)
    net = build(graph)
    done, trace = same(net, np.array([1]), "auto", timeout=100)
    assert done.mode == "fused"
    assert len(trace.payloads) > 0.8 * len(net.populations)


@pytest.mark.timeout(60)  # 1 s
def test_an_image_fused(save_model: Callable[..., Path], same: Same) -> None:
    """Patches enter where tokens do."""
    folder = save_model("vit", hidden_size=8, num_attention_heads=2, image_size=8)
    from compiler import convert
    from las_neuro.systems.las import Las

    net = build(convert(folder, system=Las(steps=4))[1])
    rows = np.random.default_rng(2).uniform(-1, 1, (5, 48)).astype(np.float32)
    done, _ = same(net, rows, "auto")
    assert done.mode == "fused"

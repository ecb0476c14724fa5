"""Plan: OPT-66B in seconds, the right verdicts, and every limit's refusal."""

from __future__ import annotations

import json
import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from test_partition import LOIHI2, decoder, feed_forward, narrow

from compiler.mapping import limits
from compiler.mapping.limits import advice, check_limits, choose_target
from compiler.mapping.partition import count, layout, partition
from compiler.mapping.plan import narrowed, plan, render
from compiler.mapping.spread import spread
from compiler.netlist.model import Gather, Netlist, Pattern, Synapses
from compiler.targets import Target, load
from las_neuro.errors import TargetError


def opt_66b() -> Netlist:
    return decoder(64, 9216, 36864, 50272, 72, 2048)


def test_opt_66b_is_planned_in_seconds_and_does_not_fit() -> None:
    net = opt_66b()
    tracemalloc.start()
    start = time.process_time()
    made = plan(net, "hala-point")
    assert time.process_time() - start < 10
    assert tracemalloc.get_traced_memory()[1] < 1e9
    tracemalloc.stop()
    assert made.weights == 64 * 12 * 9216**2 + 50272 * 9216
    assert made.weight_cores == -(-made.weights // 96_000)
    assert made.written == 64 * 2 * 72 * 2048 * 128
    bytes_alone = made.written * 2 * 16 / 768_000  # 2 slices of 16 bits each
    assert bytes_alone < made.written_cores < 1.03 * bytes_alone
    assert not made.fits
    assert made.systems == 6
    assert "hala-point has 140,544: 6 systems" in made.problem
    assert "4-bit weights" in made.advice


def test_a_shorter_context_is_advised_where_its_cores_are_many() -> None:
    """Two groups of 4096 slots of 64 numbers: 524,288 of 32 bits fill 21.8 cores of 29."""
    size = count(decoder(1, 64, 64, 10, 4, 4096), LOIHI2)
    said = "use loihi2, or a shorter context: keys, values and what waits take 23 cores"
    assert (size.cores, size.written_cores) == (29, 23)
    assert advice(size, LOIHI2) == said
    few = count(feed_forward(64, 64), LOIHI2)
    assert few.written_cores == 0
    assert advice(few, LOIHI2) == "use loihi2"


def test_opt_66b_without_attention_takes_the_cores_its_bytes_need() -> None:
    widths = [9216, *[9216, 9216, 9216, 9216, 36864, 9216] * 64, 50272]
    size = count(feed_forward(*widths), load("hala-point"))
    assert size.weight_cores == 684_304
    assert 684_304 < size.cores < 1.03 * 684_304


def test_a_plan_equals_its_partition() -> None:
    net = decoder(1, 128, 512, 1000, 4, 64)
    made, placed = plan(net, "loihi2"), partition(net, LOIHI2).placement
    assert placed is not None
    assert made.cores == placed.cores
    assert made.fits
    assert [layer.layer for layer in made.layers] == [-1, 0, 1]
    assert [layer.written for layer in made.layers] == [0, 2 * 4 * 64 * 32, 0]
    assert made.compartments == sum(p.n for p in net.populations.values())


def test_advice_counts_what_narrow_weights_would_take() -> None:
    """As a plan of the same net compiled with so many bits does; narrower ones stay as they are."""
    wide, half, one = (feed_forward(*[4096] * 9, bits=bits) for bits in (8, 4, 1))
    made = plan(wide, "loihi2")
    narrow_plan = plan(half, "loihi2")
    assert f"4-bit weights ({narrow_plan.cores:,} cores)" in made.advice
    assert count(narrowed(wide), LOIHI2).cores == narrow_plan.cores < 0.53 * made.cores
    assert count(narrowed(one), LOIHI2).cores == count(one, LOIHI2).cores
    assert narrow_plan.weight_widths == {4: 8 * 4096**2}
    assert (narrow_plan.weight_bits, narrow_plan.weights) == (4, 8 * 4096**2)


def scheduled() -> Netlist:
    """x at step 0, spikes at steps 1..16, the sum at steps 2..17 and sent at 17."""
    net = feed_forward(600, 800)
    net.update("x", steps=(0,), sends=(0,))
    net.update("x.spikes", steps=tuple(range(1, 17)), sends=tuple(range(1, 17)))
    net.update("y0", steps=tuple(range(2, 18)), sends=(17,))
    net.phases = ((0, 18),)
    return net


def test_latency_is_the_slowest_part_of_each_step() -> None:
    net = scheduled()
    made = plan(net, "loihi2").latency
    assert made is not None
    assert made.steps == 18
    busy = spread(net, LOIHI2, layout(net, LOIHI2))
    placed = partition(net, LOIHI2, busy).placement
    assert placed is not None
    largest = max((b.rows[1] - b.rows[0]) * (b.cols[1] - b.cols[0]) for b in placed.blocks)
    assert made.events_us == pytest.approx(16 * largest * 0.4 * 0.37e-3, rel=0.02)
    alone = made.barrier_us + made.updates_us
    assert alone == pytest.approx(2 * max(0.2, 600 * 0.59e-3), rel=0.5)
    assert made.total_us == pytest.approx(alone + made.events_us + made.partial_sums_us)


def test_auto_takes_the_smallest_system() -> None:
    assert plan(decoder(1, 64, 128, 100, 4, 16)).target == "loihi2"
    assert plan(feed_forward(4096, 4096)).target == "kapoho-point"
    assert plan(feed_forward(4096, *[4096] * 8)).target == "hala-point"


def test_plans_print_and_dump() -> None:
    made = plan(scheduled(), "loihi2")
    console = Console(width=140, record=True)
    console.print(render(made))
    text = console.export_text()
    assert "latency per token" in text
    assert "cores for weights" in text
    assert "480,000 of 8 bits" in text
    assert json.loads(json.dumps(made.as_dict()))["latency"]["steps"] == 18


def test_loihi_1_is_refused_but_counted() -> None:
    made = plan(feed_forward(64, 64), "loihi1")
    assert made.cores > 0
    assert not made.fits
    assert "population x on loihi1" in made.refused
    assert "graded" in made.refused


def test_a_named_target_too_small_says_what_fits() -> None:
    size = count(feed_forward(4096, 4096), LOIHI2)
    with pytest.raises(
        TargetError, match=r"needs 1\d\d cores, loihi2 has 120: 2 systems"
    ) as caught:
        choose_target(size, "loihi2")
    assert caught.value.remedy == "use kapoho-point"
    assert choose_target(size, "auto").name == "kapoho-point"


def test_nothing_fits_opt_66b() -> None:
    with pytest.raises(TargetError, match="use 6 hala-point systems"):
        choose_target(count(opt_66b(), LOIHI2), "auto")


def refused(net: Netlist, target: Target = LOIHI2) -> str:
    with pytest.raises(TargetError) as caught:
        check_limits(net, target)
    return str(caught.value)


def test_payload_wider_than_a_message() -> None:
    net = feed_forward(8, 8)
    net.update("y0", params={**net.populations["y0"].params, "high": 2**24})
    assert "population y0 on loihi2: a spike's payload is wider" in refused(net)
    assert "needs 26 bits, limit 24" in refused(net)


def test_state_word_wider_than_the_chip() -> None:
    word = LOIHI2.word
    slim = word.model_copy(update={"state_bits": word.state_bits.model_copy(update={"value": 16})})
    message = refused(feed_forward(8, 8), LOIHI2.model_copy(update={"word": slim}))
    assert "a state word is wider than the chip's: needs 24 bits, limit 16" in message


@pytest.mark.parametrize(
    "form",
    [
        Pattern(("c",), ("c",), 300),
        Gather(np.arange(8, dtype=np.int32), np.full(8, -128, np.int8)),
    ],
)
def test_weight_wider_than_a_synapse(form: Pattern | Gather) -> None:
    net = feed_forward(8, 8)
    net.synapses.append(Synapses("x", "y0", "a", form))
    assert "a weight is wider than a synapse" in refused(net)


@pytest.mark.parametrize(
    ("figure", "value", "message"),
    [
        ("compartments", 20, "more compartments than a core holds"),
        ("synapse_words", 20, "more synapse memory than a core has"),
        ("pool_words", 20, "pass a core's pool"),
        ("state_bytes", 20, "more neuron state and tables"),
        ("neuron_groups", 2, "more neuron groups"),
        ("input_axons", 20, "more input axons"),
    ],
)
def test_core_over_a_limit(figure: str, value: int, message: str) -> None:
    net = partition(feed_forward(30, 30), LOIHI2)  # placed for full cores, checked on narrow ones
    found = refused(net, narrow(LOIHI2, **{figure: value}))
    assert message in found
    assert f"limit {value}" in found
    assert "; help: run partition" in found


def test_every_check_says_what_is_wrong() -> None:
    for check in (*limits.POPULATION, *limits.CORE, limits.weight_bits):
        assert check.__doc__
        assert check.__doc__[0].islower()


def test_a_table_larger_than_a_core_is_refused() -> None:
    net = feed_forward(8, 8)
    gelu = replace(net.populations["y0"], kind="segment", params={"base": np.zeros(50_000, int)})
    net.populations["y0"] = gelu
    with pytest.raises(TargetError, match=r"population y0: one compartment needs .* state bytes"):
        partition(net, LOIHI2)

"""The audit against a netlist small enough to count by hand, and its page in a browser.

    in[2] -1:1-> code[2] -dense-> sum[3] -1:1-> out[3].a and .b
                 code[2] -written by in[2] at slot[4]-> scores[1, 4 slots]

Ten tokens in two sequences; five steps a token.
"""

import errno
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compiler.netlist.model import (
    Block,
    Dense,
    Gather,
    HostTable,
    InMemory,
    Netlist,
    Placement,
    Population,
    Synapses,
    Tile,
    Written,
)
from compiler.targets import Figure
from compiler.targets import load as load_target
from compiler.targets.target import Time
from hwsim.accounts import Audit, StepTime, audit, render, write_report
from hwsim.accounts.latency import estimate
from hwsim.accounts.tally import OUTSIDE
from hwsim.accounts.traffic import Hops, Traffic
from hwsim.accounts.wording import count, quantity, share, size, times
from hwsim.backends.counters import Counters
from hwsim.energy import Bill
from las_neuro import files
from las_neuro.errors import OutputError, PromptError
from las_neuro.files import write_atomic

CODE = {"steps": 2, "digits": 2, "digit_bits": 1, "signed_digit": 0}
STEP = StepTime(2e-6, "made up for this test")


CROSSED = Traffic(
    spikes=Hops(messages=50, local=8, east_west=25, north_south=16, crossings=3),
    partial_sums=Hops(messages=7, local=0, east_west=5, north_south=4, crossings=2),
)


def one_to_one(n: int) -> Gather:
    return Gather(np.arange(n, dtype=np.int32), np.ones(n, np.int8))


def netlist() -> Netlist:
    populations = [
        Population("in", "input", {"d": 2}, {}, steps=(0,)),
        Population("code", "encode", {"d": 2}, CODE, steps=(1, 2), layer=0),
        Population("sum", "integrate", {"o": 3}, {"bias": np.zeros(3)}, steps=(2, 3), layer=0),
        Population(
            "scores", "integrate", {"h": 1, "j": 4}, {"bias": np.zeros(1)}, steps=(2, 3), layer=0
        ),
        Population("slot", "pointer", {"j": 4}, {"slots": 4}, steps=(0,)),
        Population("out", "product", {"o": 3}, {"shift": 0}, steps=(4,)),
    ]
    synapses = [
        Synapses("in", "code", "x", one_to_one(2)),
        Synapses("code", "sum", "a", Dense(InMemory(np.ones((3, 2), np.int8)))),
        Synapses("code", "scores", "a", Written(("j", "d"), "in", "slot", 8127)),
        Synapses("sum", "out", "a", one_to_one(3)),
        Synapses("sum", "out", "b", one_to_one(3)),
    ]
    return Netlist(
        family="llama",
        causal=True,
        context=4,
        vocabulary=9,
        output="out",
        output_kind="logits",
        populations={population.name: population for population in populations},
        synapses=synapses,
        tables=[HostTable("in", "token", 0, InMemory(np.zeros((9, 2), np.int32)))],
        phases=((0, 5),),
        placement=Placement("loihi2", 130, 120, 15, 1, (), ()),
        provenance={"model": "<tiny> & co", "options": {"code": "las"}},
    )


def counters(net: Netlist) -> Counters:
    result = Counters.of(net)
    result.add_tokens(net, tokens=10, sequences=2)
    spikes = {
        "in": [10, 10],
        "code": [7, 5],
        "sum": [10, 9, 8],
        "scores": [1, 2, 3, 0],
        "slot": [3, 3, 2, 2],
        "out": [4, 4, 0],
    }
    for name, values in spikes.items():
        result.populations[name].spikes[:] = values
    result.populations["code"].clamps = 3
    result.populations["sum"].wraps = 1
    return result


@pytest.fixture
def net() -> Netlist:
    return netlist()


@pytest.fixture
def full(net: Netlist) -> Audit:
    return audit(net, counters(net), CROSSED, step_time=STEP)


def test_events_are_split_by_what_the_source_sends(full: Audit) -> None:
    rows = {row.name: row for row in full.populations}
    events = {name: (row.event_add, row.event_multiply) for name, row in rows.items()}
    assert events == {
        "in": (0, 0),
        "code": (0, 20),  # 20 graded values from the host, one synapse each
        "sum": (12 * 3, 0),
        "scores": (12 * 4 * 2, 0),  # each digit to 4 slots, whose numbers have 2 slices each
        "slot": (0, 0),
        "out": (0, 27 * 2),
    }
    assert (full.total.event_add, full.total.event_multiply) == (132, 74)
    assert full.total.synaptic_event == 206
    assert full.total.spikes == 20 + 12 + 27 + 6 + 10 + 8


def test_a_code_s_form_decides_its_price(net: Netlist) -> None:
    """A graded digit is multiplied at each synapse; a signed digit takes two additions to make."""
    rows = {}
    for form in ({}, {"digit_bits": 2, "digits": 4}, {"signed_digit": 1}):
        net.update("code", params=CODE | form)
        made = audit(net, counters(net), CROSSED, step_time=STEP)
        rows[len(rows)] = {row.name: row for row in made.populations}
    binary, graded, signed = rows.values()
    assert (binary["sum"].event_add, binary["sum"].event_multiply) == (36, 0)
    assert (graded["sum"].event_add, graded["sum"].event_multiply) == (0, 36)
    assert (signed["sum"].event_add, signed["sum"].event_multiply) == (36, 0)
    assert binary["code"].add == graded["code"].add == 0
    assert signed["code"].add == 2 * 2 * 2 * 10  # compartments, steps, additions, tokens


def test_layers_and_kinds_are_two_cuts_of_the_same_total(full: Audit) -> None:
    assert [row.name for row in full.layers] == ["layer 0", OUTSIDE]
    layer, outside = full.layers
    assert (layer.populations, layer.compartments, layer.spikes) == (3, 9, 45)
    assert (outside.event_add, outside.event_multiply) == (0, 54)
    assert layer.rate(full.tokens) == 45 / (9 * 10)
    for rows in (full.layers, full.kinds, full.populations):
        assert sum(row.synaptic_event for row in rows) == 206
        assert sum(row.update_idle for row in rows) == full.total.update_idle


def test_updates_are_the_schedule_and_work_is_updates_times_the_kind_s_cost(full: Audit) -> None:
    total = full.total
    assert total.update_active + total.update_idle == 18 * 5 * 10  # compartments, steps, tokens
    # active: in 20, code 40, sum 60, scores 80, slot 40, out 30
    assert total.update_active == 270
    assert total.state_read == 40 * 2 + 60 + 80 + 40 + 30 * 2
    assert total.state_write == 40 * 2 + 60 + 80 + 40 + 30 * 2
    assert (total.add, total.multiply, total.compare) == (
        60 + 80 + 40 + 30 * 2,
        40 + 30,
        40 * 2 + 40,
    )


def test_memory_is_read_off_the_netlist(full: Audit) -> None:
    memory = full.memory
    assert memory.synapses == 2 + 6 + 2 * 4 * 2 + 3 + 3
    assert memory.dense_bytes == 6
    assert memory.sparse_bytes == 2 + 3 + 3  # three one-to-one groups
    assert memory.state_bytes == 56  # 2 x 33 + 3 x 24 + 4 x 24 + 4 x 16 + 3 x 48 = 442 bits
    assert memory.kept_bytes == 8  # slot 4 x 16 bits
    assert memory.written_bytes == 14  # 4 slots of 2 numbers of 2 x 7 bits
    assert memory.parameter_bytes == 17  # 15 + 3 x 24 + 24 + 16 + 6 = 133 bits
    assert memory.total_bytes == 6 + 8 + 56 + 14 + 17


def test_weights_of_few_bits_take_as_many(net: Netlist) -> None:
    i, form = next((i, g.form) for i, g in enumerate(net.synapses) if isinstance(g.form, Dense))
    net.synapses[i] = replace(net.synapses[i], form=replace(form, bits=3))
    assert audit(net, counters(net)).memory.dense_bytes == 3  # 6 of 3 bits


def test_the_ann_does_each_weight_once_a_token_and_each_visible_position_once(net: Netlist) -> None:
    known = audit(net, counters(net), lengths=[4, 6]).comparison
    assert known.dense_macs == 6 * 10
    assert known.attention_macs == 2 * (1 + 2 + 3 + 4) + 2 * (1 + 2 + 3 + 4 + 5 + 6)
    assert known.attention_basis == "exact"
    assumed = audit(net, counters(net)).comparison
    assert assumed.attention_macs == 2 * 2 * (1 + 2 + 3 + 4 + 5)
    assert assumed.attention_basis == "estimate"
    assert assumed.dense_events == 36
    assert assumed.spikes_per_input == 36 / 60


def test_an_encoder_sees_every_position(net: Netlist) -> None:
    net.causal = False
    assert audit(net, counters(net), lengths=[4, 6]).comparison.attention_macs == 2 * (16 + 36)


def test_two_weight_planes_are_one_linear_map_of_the_ann(net: Netlist) -> None:
    net.synapses.append(Synapses("code", "sum", "a", Dense(InMemory(np.ones((3, 2), np.int8)))))
    found = audit(net, counters(net)).comparison
    assert found.dense_macs == 60
    assert found.dense_events == 72


def test_the_ratio_papers_print_stands_beside_the_ratio_with_everything(full: Audit) -> None:
    ratio = next(r for r in full.comparison.ratios if r.profile == "las_paper_style")
    assert ratio.ann_joules == pytest.approx(120 * 4.6e-12)
    assert ratio.paper_joules == pytest.approx(206 * 0.9e-12)
    # events 132 x 0.9, 74 x 4.6; writes 40 x 0.9
    # adds 240 x 0.9; multiplies 70 x 3.7; compares 120, idle 630 x 0.9
    assert ratio.full_joules == pytest.approx(1645.2e-12)
    assert ratio.active_joules == pytest.approx(1645.2e-12 - 630 * 0.9e-12)
    assert ratio.paper == pytest.approx(185.4 / 552)
    assert ratio.active == pytest.approx(1078.2 / 552)
    assert ratio.full == pytest.approx(1645.2 / 552)
    assert "loihi1_davies2018" not in {r.profile for r in full.comparison.ratios}


def by_name(account: Audit, profile: str) -> Bill:
    return next(bill for bill in account.energy if bill.profile == profile)


def test_static_energy_is_chips_times_latency(full: Audit) -> None:
    assert full.site is not None
    assert (full.site.cores, full.site.chips) == (130, 2)
    assert full.schedule.latency is not None
    assert full.schedule.latency.seconds == pytest.approx(5 * 2e-6)
    lines = {line.what: line for line in by_name(full, "loihi1_davies2018").lines}
    assert lines["static_power"].joules == pytest.approx(2 * 10e-6 * 10 * 0.104)
    assert lines["hop_north_south"].joules == pytest.approx((16 + 4) * 4.0e-12)
    assert lines["message"].joules == pytest.approx((50 + 7) * 1.7e-12)


def test_what_was_not_counted_is_named(net: Netlist) -> None:
    net.placement = None
    bare = audit(net, counters(net))
    assert bare.site is None
    assert bare.traffic is None
    assert bare.schedule.latency is None
    assert set(by_name(bare, "loihi1_davies2018").uncounted) == {
        "message",
        "hop_east_west",
        "hop_north_south",
        "static_power",
    }
    assert "Priced but not counted in this run" in render(bare)


def test_a_step_lasts_as_long_as_its_slowest_part_on_the_busiest_core(net: Netlist) -> None:
    """Figures of a made-up chip: barrier 10 ns, an event 3 ns, an update 4 ns.

    code and sum stand on core 0, scores on 1, the rest on 2.  Per token and step of arrival:
      step 0: in 2, slot 4 updates on core 2: 24 ns
      step 1: code 2 updates: 8 ns; in -> code 2 events: 6; so the barrier, 10
      step 2: code 2 + sum 3 updates: 20 ns; code -> sum 1.8 events: 5.4; code -> scores 4.8: 14.4
      step 3: scores 4 updates: 16 ns; code -> scores 4.8 events: 14.4
      step 4: out 3 updates: 12 ns; sum -> out 5.4 / 2 events: 8.1
    sum sends at 2 and 3, so half of its events arrive at step 3.
    """
    figures = {"barrier_us": 0.01, "synaptic_event_ns": 3.0, "neuron_update_ns": 4.0}
    time = Time(**{name: Figure(value=v, source="made up here") for name, v in figures.items()})
    chip = load_target("loihi2").model_copy(update={"time": time, "title": "made-up chip"})
    cores = {"in": 2, "code": 0, "sum": 0, "scores": 1, "slot": 2, "out": 2}
    tiles = tuple(Tile(name, 0, net.populations[name].n, core) for name, core in cores.items())
    placement = Placement("loihi2", 3, 120, 15, 1, tiles, (Block(1, (0, 3), (0, 2), 0),))
    found = estimate(net, counters(net), placement, chip)
    assert found.bounds == pytest.approx(
        {"barrier": 10e-9, "synaptic events": 0, "updates": 72e-9, "partial sums": 0}
    )
    assert found.seconds == pytest.approx(82e-9)
    away = Placement("loihi2", 3, 120, 15, 1, tiles, (Block(1, (0, 3), (0, 2), 1),))
    assert estimate(net, counters(net), away, chip).bounds["partial sums"] == pytest.approx(10e-9)


def test_a_core_flooded_with_events_bounds_its_step(net: Netlist) -> None:
    run = counters(net)
    run.populations["code"].spikes[:] = [700_000, 500_000]
    run.populations["sum"].spikes[:] = 0
    tiles = tuple(Tile(name, 0, p.n, 0) for name, p in net.populations.items())
    chip = load_target("loihi2")
    found = estimate(net, run, Placement("loihi2", 1, 120, 15, 1, tiles, ()), chip)
    # 120,000 spikes a token, half a step, each to 3 + 8 synapses on the one core, in two steps
    expected = 2 * 60_000 * 11 * float(chip.time.synaptic_event_ns) * 1e-9
    assert found.bounds["synaptic events"] == pytest.approx(expected)


def test_no_trouble_is_hidden(full: Audit) -> None:
    assert [(row.name, row.clamps, row.wraps) for row in full.troubles] == [
        ("sum", 0, 1),
        ("code", 3, 0),
    ]
    assert (full.total.clamps, full.total.wraps) == (3, 1)


def test_the_host_s_share_is_counted(full: Audit) -> None:
    assert (full.host.lookups, full.host.values_in, full.host.values_out) == (10, 20, 30)


def test_the_record_is_json_with_a_label_for_each_section(full: Audit) -> None:
    record = json.loads(json.dumps(full.to_dict(), allow_nan=False))
    assert record["total"]["synaptic_event"] == 206
    assert record["energy"][0]["joules"] == pytest.approx(full.energy[0].joules)
    assert record["troubles"] == [
        {"population": "sum", "clamps": 0, "wraps": 1},
        {"population": "code", "clamps": 3, "wraps": 0},
    ]
    assert set(record["labels"].values()) == {"measured", "exact", "estimate"}


def test_a_run_of_nothing_is_refused(net: Netlist) -> None:
    with pytest.raises(PromptError, match="nothing was run"):
        audit(net, Counters.of(net))


def test_the_page_is_whole_the_same_each_time_and_asks_for_nothing(full: Audit) -> None:
    page = render(full)
    assert page == render(full)
    assert page.startswith("<!DOCTYPE html>")
    assert "&lt;tiny&gt; &amp; co" in page
    assert "<tiny>" not in page
    ours = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", ours)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (count(0), "0"),
        (count(9310), "9,310"),
        (count(999_999), "1.00 M"),
        (count(23_412), "23.4 k"),
        (count(0.61234), "0.612"),
        (quantity(None, "s"), "–"),
        (quantity(0.0, "J"), "0 J"),
        (quantity(2.212e-9, "J"), "2.21 nJ"),
        (quantity(0.0104, "s"), "10.4 ms"),
        (size(68), "68 B"),
        (size(3 * 2**20), "3.00 MiB"),
        (times(1.2599), "1.26 ×"),
        (times(float("nan")), "–"),
        (share(1, 3), "33.3 %"),
        (share(1, 9999), "< 0.1 %"),
        (share(0, 0), "0.0 %"),
    ],
)
def test_numbers_are_rounded_once_and_legibly(said: str, expected: str) -> None:
    assert said == expected


# ---- the file


def test_a_report_replaces_the_old_one_and_leaves_nothing_beside_it(
    full: Audit, tmp_path: Path
) -> None:
    target = tmp_path / "audit.html"
    target.write_text("old", "utf-8")
    write_report(full, target)
    assert target.read_text("utf-8").endswith("</html>\n")
    assert os.listdir(tmp_path) == ["audit.html"]


def test_a_full_disk_leaves_the_old_file_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    target = tmp_path / "audit.html"
    target.write_text("old", "utf-8")
    monkeypatch.setattr(files.os, "fsync", full_disk)
    with pytest.raises(OutputError, match="free some space"):
        write_atomic(target, "new")
    assert target.read_text("utf-8") == "old"
    assert os.listdir(tmp_path) == ["audit.html"]


@pytest.mark.parametrize(
    ("name", "remedy"), [("absent/a.html", "create the folder"), ("folder", "name a file")]
)
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, name: str, remedy: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match=remedy) as caught:
        write_atomic(tmp_path / name, b"x")
    assert name in str(caught.value)
    assert os.listdir(tmp_path) == ["folder"]


# ---- the browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next((found for name in BROWSERS if (found := shutil.which(name))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason=f"no browser: none of {BROWSERS} found")


def opened(page: Path) -> tuple[str, list[str]]:
    """The page's document after its scripts ran, and the lines of its console."""
    assert BROWSER is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    flags += ["--enable-logging=stderr", "--virtual-time-budget=10000", "--dump-dom"]
    flags += [f"--user-data-dir={page.parent / 'browser'}", "--host-resolver-rules=MAP * ~NOTFOUND"]
    done = subprocess.run(
        [BROWSER, *flags, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@needs_browser
def test_the_page_opens_offline_with_its_figures_and_no_complaint(
    full: Audit, tmp_path: Path
) -> None:
    page = tmp_path / "audit.html"
    write_report(full, page)
    document, console = opened(page)
    assert console == []
    for figure in ("by-layer", "energy-parts", "updates"):
        drawn = re.search(rf'id="{figure}".*?<svg class="main-svg"', document, re.DOTALL)
        assert drawn, f"{figure} was not drawn"
    headline = document[document.index('id="headline"') : document.index("<h2>Against")]
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", headline))
    for said in (
        "tokens measured 10 in 2 sequences",
        "spikes / token measured 8.3 ",
        "synaptic events / token measured 20.6 13.2 binary, 7.4 graded",
        "clamps + wraps measured 4 3 clamped, 1 wrapped",
        "time steps / token exact 5 in 1 phase",
        "latency / token estimate 10.0 µs",
        "cores / chips exact 130 / 2 loihi2",
        "energy / token, by profile Loihi 1 coefficients (Davies 2018) estimate",
    ):
        assert said in words


@needs_browser
def test_a_complaint_in_the_console_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "broken.html"
    page.write_text("<script>nothing.here()</script>", "utf-8")
    _, console = opened(page)
    assert console

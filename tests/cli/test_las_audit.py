from __future__ import annotations

import json
from pathlib import Path

import pytest


def test_it_writes_the_page_and_prints_the_headline(
    las_process, netlist: Path, text: Path, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    done = las_process(
        "las-audit", netlist, "--text", text, "-o", page, "--max-tokens", "60", "--json"
    )
    assert (done.code, done.err) == (0, "")
    for fact in ("60 tokens", "spikes", "synaptic events", "wraps", "hops", "µJ per token"):
        assert fact in done.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]
    assert page.read_text(encoding="utf-8").startswith("<!")
    made = json.loads((tmp_path / "report.json").read_text())
    assert made["tokens"] == 60
    assert made["sequences"] == 3
    assert made["total"]["spikes"] > 0
    assert made["traffic"]["spike_messages"] > 0
    assert made["title"] == f"{netlist.name} on {text.name}"


def test_json_alone(las, encoder_netlist: Path, lines: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    done = las("las-audit", encoder_netlist, "--text", lines, "-o", path, "--quiet")
    assert (done.code, done.err, done.out) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert json.loads(path.read_text())["sequences"] == 4


PROFILE = """
name = "my_chip"
title = "My chip"
basis = "measured"
scope = "synaptic events alone"
[picojoule.synaptic_event]
value = 2.5
unit = "pJ"
source = "my bench, 2026-01"
"""


def test_a_profile_of_one_s_own_is_priced_beside_the_others(
    las, netlist: Path, text: Path, tmp_path: Path
) -> None:
    own, report = tmp_path / "my_chip.toml", tmp_path / "report.json"
    own.write_text(PROFILE)
    done = las("las-audit", netlist, "--text", text, "-o", report, "--profile", own)
    assert (done.code, done.err) == (0, "")
    assert "energy, my_chip" in done.out
    audit = json.loads(report.read_text())
    bill = {bill["profile"]: bill for bill in audit["energy"]}["my_chip"]
    assert len(audit["energy"]) > 4
    assert bill["joules"] == pytest.approx(audit["total"]["synaptic_event"] * 2.5e-12)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("my_chip", None, "no energy profile"),
        ("my_chip", "name = ", "not TOML"),
        ("my_chip", "a = " + "[" * 100_000, "not TOML"),
        ("my_chip", PROFILE.replace("synaptic_event", "synaptic_evnt"), "synaptic_evnt"),
        ("your_chip", PROFILE, "its name is `my_chip`"),
        ("las_paper_style", PROFILE.replace("my_chip", "las_paper_style"), "two energy profiles"),
    ],
)
def test_a_bad_profile_is_one_line(
    las, netlist: Path, text: Path, tmp_path: Path, name: str, content: str | None, said: str
) -> None:
    own = tmp_path / f"{name}.toml"
    if content is not None:
        own.write_text(content)
    words = ("--text", text, "-o", tmp_path / "report.html", "--profile", own)
    done = las("las-audit", netlist, *words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "report.html").exists()


def test_a_report_does_not_replace_a_profile(
    las, netlist: Path, text: Path, tmp_path: Path
) -> None:
    own = tmp_path / "my_chip.toml"
    own.write_text(PROFILE)
    done = las("las-audit", netlist, "--text", text, "-o", own, "--profile", own)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert own.read_text() == PROFILE

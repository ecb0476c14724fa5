from __future__ import annotations

import json
from pathlib import Path


def test_it_writes_the_page_and_prints_the_headline(
    las_process, netlist: Path, text: Path, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    done = las_process(
        "las-audit", netlist, "--text", text, "-o", page, "--max-tokens", "60", "--json"
    )
    assert (done.code, done.err) == (0, "")
    for fact in ("60 tokens", "spikes", "synaptic events", "wraps", "hops", "µJ a token"):
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

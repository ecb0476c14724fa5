"""docs/architecture.md: its picture, its folders and its passes are those of the code."""

from __future__ import annotations

import sys

from pages import ROOT, section, tables

from compiler.pipeline import PASSES

sys.path.insert(0, str(ROOT / "docs"))

from draw_architecture import PACKAGES, PICTURE, drawn, imported, reduced, without_cycles

PAGE = (ROOT / "docs/architecture.md").read_text("utf-8")


def test_the_picture_is_drawn_from_the_code_as_it_is() -> None:
    assert drawn() == PICTURE.read_text("utf-8"), "run: python docs/draw_architecture.py"


def test_the_picture_has_every_folder_and_no_import_is_lost() -> None:
    counts = imported(ROOT)
    assert len(counts) > 40
    graph, upward = without_cycles(counts)
    down = {(a, b) for a, targets in graph.items() for b in targets}
    assert down | set(upward) == set(counts)
    assert not [a for a, b in upward if a.split("/")[0] != b.split("/")[0]]
    few = reduced(graph)
    assert sum(map(len, few.values())) < len(down)
    text = PICTURE.read_text("utf-8")
    for name in graph:
        assert f">{name.split('/')[1] if '/' in name else name + '/*.py'}</text>" in text


def test_an_import_that_is_not_there_changes_the_picture(tmp_path: object) -> None:
    counts = imported(ROOT) | {("las_neuro/systems", "hwsim/energy"): 1}
    _, upward = without_cycles(counts)
    assert ("las_neuro/systems", "hwsim/energy") in upward


def test_every_folder_has_its_line() -> None:
    (rows,) = tables(section(PAGE, "## Folders"))
    there = {
        f"{package}/{path.name}"
        for package in PACKAGES
        for path in (ROOT / package).iterdir()
        if path.is_dir() and any(path.glob("*.py"))
    }
    assert {row["folder"] for row in rows} == there


def test_the_passes_are_the_compiler_s_in_their_order() -> None:
    (rows,) = tables(section(PAGE, "## Passes"))
    said = [(row["pass"], row["works on"], row["gives"]) for row in rows]
    assert said == [(one.name, one.level, one.result) for one in PASSES]

"""The glossary's terms are in use, each once; the terms of the field stand where pictures stood."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from pages import ROOT, tables

PACKAGES = ("las_neuro", "compiler", "hwsim")
GLOSSARY = ROOT / "docs/glossary.md"
TERMS = [row["term"] for table in tables(GLOSSARY.read_text("utf-8")) for row in table]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("C*.md")), *sorted((ROOT / "docs").glob("*.md"))]
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

PICTURES = re.compile(r"\b(rooms?|doors?|streets?|houses?|books|way out|ways out)\b", re.IGNORECASE)
# Free space is room in plain English.
ALLOWED = re.compile(r"\b(room (for|to|around)|free room|split the room)\b")


def prose() -> Iterator[tuple[str, str]]:
    """Pages and docstrings: where, and the text."""
    for page in PAGES:
        yield page.name, page.read_text("utf-8")
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                said = ast.get_docstring(node)
                if said:
                    place = path.relative_to(ROOT).as_posix()
                    yield f"{place}, {getattr(node, 'name', 'top')}", said


def test_no_picture_stands_for_a_term() -> None:
    texts = list(prose())
    assert len(texts) > 500
    assert any("compartment" in text for _, text in texts)
    pictures = [
        f"{where}: {hit[0]}"
        for where, text in texts
        for hit in PICTURES.finditer(ALLOWED.sub("", " ".join(text.split())))
    ]
    assert pictures == []


@pytest.mark.parametrize("text", ["the only door to it", "opens its books", "names the way out"])
def test_a_picture_is_seen(text: str) -> None:
    assert PICTURES.search(ALLOWED.sub("", text))


def test_there_are_terms_and_each_has_one_sense() -> None:
    assert len(TERMS) > 45
    assert len(set(TERMS)) == len(TERMS)


@pytest.fixture(scope="module")
def text() -> str:
    """All code and pages but the glossary, as lower-case words."""
    pages = [page for page in PAGES if page != GLOSSARY]
    files = [path.read_text("utf-8") for path in [*SOURCES, *pages]]
    return re.sub(r"[\s_]+", " ", " ".join(files)).lower()


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_in_use(term: str, text: str) -> None:
    assert re.search(rf"\b{re.escape(term.lower())}\b", text)

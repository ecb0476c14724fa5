"""Finds every example that a reader may paste: in pages, docstrings and command help."""

from __future__ import annotations

import ast
import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pages import ROOT, blocks

CODE = ("las_neuro", "compiler", "hwsim", "examples", "benchmarks", "docs")
PAGES = ("*.md", "docs/*.md", "examples/*/*.md")
SHOWN = {"text", "json", "diff"}  # blocks to read; pages of their own have tests of their own
COMMANDS = ("las-", "python ", "make ")
PYTHON = re.compile(r"(from [\w.]+ import|import \w)")


@dataclass(frozen=True)
class Example:
    """One command line, or one piece of Python or TOML."""

    where: str
    language: str
    text: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text, comments=True)


def examples() -> list[Example]:
    return [*_in_pages(), *_in_code()]


def _in_pages() -> Iterator[Example]:
    for path in sorted(path for pattern in PAGES for path in ROOT.glob(pattern)):
        name = path.relative_to(ROOT).as_posix()
        for block in blocks(path.read_text("utf-8")):
            where = f"{name}:{block.line}"
            if block.text.startswith("git apply"):
                continue  # a recipe: tests/test_recipes.py follows it in a copy of the tree
            if block.language == "sh":
                yield from (Example(where, "sh", line) for line in _lines(block.text))
            elif block.language not in SHOWN:
                yield Example(where, block.language, block.text)


def _in_code() -> Iterator[Example]:
    for path in sorted(path for folder in CODE for path in (ROOT / folder).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            for text in _said(node):
                yield from _indented(f"{name}:{getattr(node, 'lineno', 1)}", text)


def _said(node: ast.AST) -> Iterator[str]:
    """A docstring, or the examples of a command's help."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
        yield ast.get_docstring(node) or ""
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        if node.targets[0].id.endswith("EXAMPLES") and isinstance(node.value, ast.Constant):
            yield f"Examples:\n{node.value.value}"


def _indented(where: str, text: str) -> Iterator[Example]:
    """Paragraphs that stand in from the margin and begin as a command or as Python."""
    for paragraph in re.findall(r"(?:^ {2,}\S.*\n?)+", text, re.MULTILINE):
        plain = textwrap.dedent(paragraph)
        if plain.startswith(COMMANDS):
            yield from (Example(where, "sh", line) for line in _lines(plain))
        elif PYTHON.match(plain):
            yield Example(where, "python", plain)


def _lines(text: str) -> list[str]:
    joined = text.replace("\\\n", " ").splitlines()
    return [line.strip() for line in joined if line.strip() and not line.startswith("#")]


def script_of(words: list[str]) -> Path:
    """The file that `python FILE ...` runs."""
    return ROOT / words[1]

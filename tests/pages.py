"""Reads our Markdown pages: sections, tables, fenced blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line of the page it begins on."""

    language: str
    text: str
    line: int


def section(page: str, heading: str) -> str:
    """What stands under a heading, up to the next heading that is not below it."""
    level = heading.index(" ")
    start = page.index(f"\n{heading}\n") + len(heading) + 2
    end = re.search(rf"^#{{1,{level}}} ", page[start:], re.MULTILINE)
    return page[start : start + end.start()] if end else page[start:]


def tables(text: str) -> list[list[dict[str, str]]]:
    """Every table as rows by column heading, without code marks."""
    found: list[list[dict[str, str]]] = []
    for lines in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        head, _, *rows = [cells(line) for line in lines.strip().splitlines()]
        found.append([dict(zip(head, row, strict=True)) for row in rows])
    return found


def cells(line: str) -> list[str]:
    return [cell.strip().replace("`", "") for cell in line.strip().strip("|").split("|")]


def blocks(page: str) -> list[Block]:
    """Every fenced block."""
    pattern = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [
        Block(match[1], match[2], page[: match.start()].count("\n") + 1)
        for match in pattern.finditer(page)
    ]

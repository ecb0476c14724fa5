"""Measured figures: stored as JSON with date and machine, shown as tables in Markdown pages."""

from __future__ import annotations

import datetime
import json
import platform
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parents[1]
Row = dict[str, Any]
Stamp = TypeVar("Stamp", bound=Hashable)


def load(path: Path) -> Row:
    """The figures kept so far; none if the file does not exist."""
    figures: Row = json.loads(path.read_text()) if path.is_file() else {}
    return figures


def save(path: Path, figures: Row) -> None:
    path.write_text(json.dumps(figures, indent=1) + "\n")


def today() -> str:
    return datetime.date.today().isoformat()


def machine() -> str:
    """Cores, processor and instruction sets of this machine, and the version of Python."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    flags = [flag for flag in ("avx2", "avx512f", "avx512_vnni") if f" {flag} " in text]
    model = re.search(r"model name\s*: (.*)", text)
    cores = text.count("processor\t:")
    processor = model.group(1) if model else platform.machine()
    return f"{cores} cores, {processor}, {' '.join(flags)}; Python {platform.python_version()}"


def by_stamp(stamps: Mapping[str, Stamp]) -> list[tuple[Stamp, list[str]]]:
    """Names grouped by when and where they were measured; the largest group first."""
    groups: dict[Stamp, list[str]] = {}
    for name, stamp in stamps.items():
        groups.setdefault(stamp, []).append(name)
    return sorted(groups.items(), key=lambda pair: -len(pair[1]))


def fill(path: Path, tables: Mapping[str, str]) -> None:
    """Replace tables of a page, each between two comments; the first comment names the table."""
    text = path.read_text()
    for name, table in tables.items():
        mark, end = f"<!-- figures: benchmarks/{name} -->", "<!-- end of figures -->"
        new = f"{mark}\n{table}\n{end}"
        text = re.sub(f"{re.escape(mark)}.*?{end}", lambda _, new=new: new, text, flags=re.S)
    path.write_text(text)

"""report_file: write a command's result as a page, or as JSON where the name ends in .json."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from las_neuro.files import write_atomic


def write_report_file(path: Path, values: dict[str, Any], page: Callable[[], str]) -> None:
    """Write `values` as JSON, or `page()` as HTML, completely or not at all.

    Raises `OutputError` where the file cannot be written.
    """
    if path.suffix == ".json":
        write_atomic(path, json.dumps(values, indent=2, allow_nan=False) + "\n")
    else:
        write_atomic(path, page())

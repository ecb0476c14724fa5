"""One of our commands, called as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent


def command(name: str, *arguments: Any) -> dict[str, Any]:
    """One of our commands with --json; its output as values."""
    run = [BIN / name, *map(str, arguments), "--json"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, run))} failed:\n{done.stderr}")
    read: dict[str, Any] = json.loads(done.stdout) if done.stdout.strip().startswith("{") else {}
    return read

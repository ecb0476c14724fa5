"""Run a command of las_neuro as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent


def command(name: str, *arguments: Any) -> dict[str, Any]:
    """Run a command with --json and return its output; exits if the command fails."""
    run = [BIN / name, *map(str, arguments), "--json"]
    proc = subprocess.run(run, capture_output=True, text=True, check=False)
    if proc.returncode:
        raise SystemExit(f"{' '.join(map(str, run))} failed:\n{proc.stderr}")
    values: dict[str, Any] = json.loads(proc.stdout) if proc.stdout.strip().startswith("{") else {}
    return values

"""Run a command of las_neuro as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent


def command(name: str, *arguments: Any) -> dict[str, Any]:
    """Run a command with --json; its output as values.  Exits if the command fails."""
    run = [BIN / name, *map(str, arguments), "--json"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, run))} failed:\n{done.stderr}")
    values: dict[str, Any] = json.loads(done.stdout) if done.stdout.strip().startswith("{") else {}
    return values

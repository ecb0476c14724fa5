"""timing: seconds and peak memory of each pass, for `las-compile --time-passes`."""

from __future__ import annotations

import contextlib
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.passes.contract import Pass
from compiler.task import Task

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
PEAK = "5"  # proc(5): resets the peak resident set size


@dataclass(frozen=True)
class Timing:
    """Seconds of one pass, and the largest resident set size while it ran, in bytes."""

    seconds: float
    peak_bytes: int


def timed(one: Pass, network: Any, task: Task) -> tuple[Any, Timing]:
    """Run a pass; its result and its timing."""
    _reset_peak()
    started = time.perf_counter()
    result = one.run(network, task)
    return result, Timing(time.perf_counter() - started, _peak_bytes())


def _peak_bytes() -> int:
    """Peak since the last reset (Linux), or of the whole process where no reset is possible."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _reset_peak() -> None:
    with contextlib.suppress(OSError):
        CLEAR.write_text(PEAK)

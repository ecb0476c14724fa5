"""task: one compilation: what was asked for, and what its passes share beside the network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compiler.options import Options
from las_neuro.progress import Progress, silent
from las_neuro.rows import Rows
from las_neuro.systems import System, find

if TYPE_CHECKING:
    from las_neuro.checkpoint import Checkpoint


@dataclass
class Task:
    """checkpoint: what is compiled; None where a graph that was drawn before is built.

    weights: whether the checkpoint's weights are read; a plan knows shapes alone.  method: the
    system with its options.  batches: calibration tokens [B, S] or patches [B, S, pixels], left by
    the pass `calibrate`; representative: whether they are like the text to come, so that weights
    may be rounded for them (an encoder's own random tokens serve for ranges alone).
    record: what passes add to the netlist's provenance.
    """

    checkpoint: Checkpoint | None = None
    options: Options = field(default_factory=Options)
    method: System = field(default_factory=lambda: find("las"))
    weights: bool = True
    progress: Progress = silent
    batches: list[Rows] = field(default_factory=list)
    representative: bool = False
    record: dict[str, Any] = field(default_factory=dict)

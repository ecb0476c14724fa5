"""task: one compilation: its options, and the data that passes share besides the network."""

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
    """One compilation, handed to every pass.

    checkpoint: the model to compile; None where the graph exists already.
    weights: whether the checkpoint's weights are read; a plan knows shapes only.
    method: the system with its options.
    batches: calibration tokens [B, S] or patches [B, S, pixels], left by the pass `calibrate`.
    representative: whether the batches resemble the text the model will run on, so that weights
    may be rounded for them (random tokens, which an encoder gets by default, serve for ranges
    only).
    record: entries that passes add to the netlist's provenance.
    """

    checkpoint: Checkpoint | None = None
    options: Options = field(default_factory=Options)
    method: System = field(default_factory=lambda: find("las"))
    weights: bool = True
    progress: Progress = silent
    batches: list[Rows] = field(default_factory=list)
    representative: bool = False
    record: dict[str, Any] = field(default_factory=dict)

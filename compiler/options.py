"""options: what a user may ask of a compilation; commands, Python calls and provenance share it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Options:
    """steps: binary digits a value.  code: the form of its spikes, one of las_neuro.codes.FORMS.
    ranges: thresholds of an encoder, 2: normal and outlier, 1: normal alone.  channel_steps: spare
    channels the digits that matter least.  planes: int8 synapse groups a weight is made of, 1 or 2.
    error_budget: most error of the output, in the units `compiler.budget` states; it chooses steps
    and planes layer by layer, none finer than `steps`.  calibrate: a text (images for a vision
    model); None: the model's own.  context: most tokens a sequence; None: all the model allows.
    target: a name, or "auto" for the smallest that fits.  builtin_only: refuse kinds that no
    built-in Lava process equals.
    """

    system: str = "las"
    steps: int = 16
    code: str = "binary"
    ranges: int = 2
    channel_steps: bool = False
    planes: int = 1
    error_budget: float | None = None
    calibrate: Path | None = None
    context: int | None = None
    target: str = "auto"
    builtin_only: bool = False

    def record(self) -> dict[str, Any]:
        """Plain values for the netlist's provenance; the calibration text goes by its digest."""
        left_out = ("calibrate", "builtin_only")
        return {key: value for key, value in asdict(self).items() if key not in left_out}

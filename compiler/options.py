"""options: what a user may ask of a compilation; commands, Python calls and provenance share it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from las_neuro.systems import System, find

FINER_STEPS = 2  # of LAS, with two planes


@dataclass(frozen=True)
class Options:
    """system: a published method; system_options: its own.  steps: time steps a value, or its
    binary digits in LAS; None: the system's usual number.  code: the form of LAS's spikes, one of
    las_neuro.codes.FORMS.
    ranges: thresholds of an encoder, 2: normal and outlier, 1: normal alone.  channel_steps: spare
    channels the digits that matter least.  planes: int8 synapse groups a weight is made of, 1 or 2.
    error_budget: most error of the output, in the units `compiler.budget` states; it chooses steps
    and planes layer by layer, none finer than `steps`.  calibrate: a text (images for a vision
    model); None: the model's own.  context: most tokens a sequence; None: all the model allows.
    target: a name, or "auto" for the smallest that fits.  builtin_only: refuse kinds that no
    built-in Lava process equals.  tables: few-spikes tables of functions, see las_neuro.few_spikes;
    subtract_first: theirs is the published order and not SpikingJelly's.
    """

    system: str = "las"
    system_options: Mapping[str, Any] = field(default_factory=dict)
    steps: int | None = None
    code: str = "binary"
    ranges: int = 2
    channel_steps: bool = False
    planes: int = 1
    error_budget: float | None = None
    calibrate: Path | None = None
    context: int | None = None
    target: str = "auto"
    builtin_only: bool = False
    tables: Path | None = None
    subtract_first: bool = False

    @property
    def method(self) -> System:
        return find(self.system, self.system_options)

    @property
    def digits(self) -> int:
        """Steps a value: asked for, or the system's; two planes of weights deserve finer ones."""
        if self.steps is not None:
            return self.steps
        return self.method.steps + FINER_STEPS * (self.planes == 2 and self.system == "las")

    def record(self) -> dict[str, Any]:
        """Plain values for the netlist's provenance; the calibration text goes by its digest."""
        left_out = ("calibrate", "builtin_only", "tables")
        kept = {key: value for key, value in asdict(self).items() if key not in left_out}
        own = {key: getattr(self.method, key) for key in self.system_options}
        return kept | {"steps": self.digits, "system_options": own}

"""options: what a user may ask of a compilation; commands, Python calls and provenance share it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from las_neuro.errors import ConfigError
from las_neuro.systems import System, find
from las_neuro.systems.las import Las

LAS = {"code": "binary", "ranges": 2, "channel_steps": False}  # options that no other system has
FINER_STEPS = 2  # of LAS, with two planes


@dataclass(frozen=True)
class Options:
    """system: a published method; system_options: its own.  steps: time steps a value, or its
    binary digits in LAS; None: the system's usual number.  code: the form of LAS's spikes, one of
    las_neuro.neurons.codes.FORMS.
    ranges: thresholds of an encoder, 2: normal and outlier, 1: normal alone.  channel_steps: spare
    channels the digits that matter least.  planes: int8 synapse groups a weight is made of, 1 or 2.
    error_budget: most error of the output, in the units `compiler.budget` states; it chooses steps
    and planes layer by layer, none finer than `steps`.  calibrate: a text (images for a vision
    model); None: the model's own.  context: most tokens a sequence; None: all the model allows.
    target: a name, or "auto" for the smallest that fits.  builtin_only: refuse kinds that no
    built-in Lava process equals.  tables: few-spikes tables of functions, see
    las_neuro.neurons.few_spikes; subtract_first: theirs is the published order and not
    SpikingJelly's.
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

    @cached_property
    def method(self) -> System:
        """The system with all that is asked of it; two planes of weights deserve finer steps."""
        own, theirs = dict(self.system_options), {name: getattr(self, name) for name in LAS}
        for name in {"steps", *LAS} & set(own):
            raise ConfigError(f"--option {name} is an option by itself", f"use --{name}")
        if self.system == "las":
            own |= theirs
            if self.planes == 2:
                own["steps"] = Las.steps + FINER_STEPS
        elif theirs != LAS:
            raise ConfigError(
                f"--code, --ranges and --channel-steps are LAS's, not {self.system}'s",
                "leave them out, or give the system's own options with --option",
            )
        if self.steps is not None:
            own["steps"] = self.steps
        return find(self.system, own)

    def record(self, trained: int) -> dict[str, Any]:
        """Plain values for the netlist's provenance; the calibration text goes by its digest.

        trained: steps that the compiled graph's neurons were trained with, 0 for none.
        """
        left_out = ("calibrate", "builtin_only", "tables")
        kept = {key: value for key, value in asdict(self).items() if key not in left_out}
        own = {key: getattr(self.method, key) for key in self.system_options}
        return kept | {"steps": self.method.steps or trained, "system_options": own}

"""options: the options of a compilation, the same for commands, Python calls and provenance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from pydantic import Field, TypeAdapter, ValidationError

from compiler.targets import load
from las_neuro.errors import ConfigError
from las_neuro.systems import System, find
from las_neuro.systems.las import Las

Count = Annotated[int, Field(strict=True, ge=1)]
OneOrTwo = Annotated[int, Field(strict=True, ge=1, le=2)]
Switch = Annotated[bool, Field(strict=True)]
Error = Annotated[float, Field(gt=0, allow_inf_nan=False)]

# Options that only LAS has, and their defaults.
LAS = {field.name: field.default for field in fields(Las) if field.name != "steps"}
LAS["code"] = None  # what the target allows
FINER_STEPS = 2  # additional digits of LAS where weights have two planes


@dataclass(frozen=True)
class Options:
    """Options of one compilation.

    system: a published method.  system_options: options that only this system has.
    steps: time steps per value, in LAS binary digits per value; None: the system's default.
    code: the form of LAS's spikes, one of las_neuro.neurons.codes.FORMS; None: graded where the
    target has graded spikes, else binary.
    published: LAS as its paper has it, with binary spikes.
    ranges: thresholds of an encoder, 2: normal and outlier, 1: normal only.
    channel_steps: let each channel skip the digits that matter least.
    weight_planes: int8 synapse groups that make up a weight, 1 or 2.
    error_budget: largest error of the output, in the units `compiler.budget` states; steps and
    planes are then chosen layer by layer, none finer than `steps`.
    calibrate: a text file (images for a vision model); None: text the model generates itself.
    context: most tokens per sequence; None: as many as the model allows.
    target: a name, or "auto" for the smallest that fits.
    builtin_only: refuse kinds that no built-in Lava process equals.
    tables: few-spikes tables of functions, see las_neuro.neurons.few_spikes.
    subtract_first: the tables are for the published order of operations, not SpikingJelly's.

    Raises `ConfigError` for a value of the wrong type or out of range, whether it comes from a
    command line, a file or Python; a path may be given as text.
    """

    system: str = "las"
    system_options: Mapping[str, Any] = field(default_factory=dict)
    steps: Count | None = None
    code: str | None = None
    published: Switch = False
    ranges: OneOrTwo = Las.ranges
    channel_steps: Switch = Las.channel_steps
    weight_planes: OneOrTwo = 1
    error_budget: Error | None = None
    calibrate: Path | None = None
    context: Count | None = None
    target: str = "auto"
    builtin_only: Switch = False
    tables: Path | None = None
    subtract_first: Switch = False

    def __post_init__(self) -> None:
        for name, check in _checks().items():
            object.__setattr__(self, name, _checked(name, check, getattr(self, name)))

    def changed(self, overrides: Mapping[str, Any]) -> Options:
        """These options with those of `overrides` in their place.

        Raises `ConfigError` for a name that is not an option.
        """
        check_names(overrides)
        return replace(self, **overrides)

    @cached_property
    def method(self) -> System:
        """The system with its options; with two weight planes LAS gets more digits.

        Raises `ConfigError` where an option does not belong to the system.
        """
        own, las_options = dict(self.system_options), {name: getattr(self, name) for name in LAS}
        for name in {"steps", *LAS} & set(own):
            raise ConfigError(f"--option {name} is an option by itself", f"use --{name}")
        if self.published and (self.system != "las" or self.code not in (None, Las.code)):
            raise ConfigError(
                f"LAS was published with {Las.code} spikes", "leave --published or --code out"
            )
        if self.system == "las":
            own |= las_options | {"code": self.code or self._default_code}
            if self.weight_planes == 2:
                own["steps"] = Las.steps + FINER_STEPS
        elif las_options != LAS:
            raise ConfigError(
                f"--code, --ranges and --channel-steps are LAS's, not {self.system}'s",
                "leave them out, or give the system's own options with --option",
            )
        if self.error_budget is not None and self.system != "las":
            raise ConfigError(
                f"an error budget chooses LAS's codes, not those of {self.system}",
                "leave --error-budget out, or use --system las",
            )
        if self.steps is not None:
            own["steps"] = self.steps
        return find(self.system, own)

    @property
    def _default_code(self) -> str:
        graded = self.target == "auto" or load(self.target).graded
        return "graded" if graded and not self.published else Las.code

    def record(self, trained: int) -> dict[str, Any]:
        """Plain values for the netlist's provenance.

        Files are left out: the provenance records their digests instead.
        trained: steps that the compiled graph's neurons were trained with, 0 for none.
        """
        excluded = ("calibrate", "builtin_only", "tables")
        options = {key: value for key, value in asdict(self).items() if key not in excluded}
        own = {key: getattr(self.method, key) for key in self.system_options}
        if isinstance(self.method, Las):
            options["code"] = self.method.code
        return options | {"steps": self.method.steps or trained, "system_options": own}


@cache
def _checks() -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(Options, include_extras=True)
    return {one.name: TypeAdapter(hints[one.name]) for one in fields(Options)}


def _checked(name: str, check: TypeAdapter[Any], value: Any) -> Any:
    try:
        return check.validate_python(value)
    except ValidationError as error:
        message = error.errors(include_url=False)[0]["msg"]
        raise ConfigError(f"{name} = {value!r:.60}: {message}", "correct the value") from error


def check_names(names: Iterable[str]) -> None:
    """Raise `ConfigError` for the first name that is not an option, and suggest the nearest."""
    known = sorted(one.name for one in fields(Options))
    for name in names:
        if name not in known:
            longer = sorted((one for one in known if name in one), key=len)
            near = longer or get_close_matches(name, known, 1)
            remedy = f"did you mean {near[0]}?" if near else f"use {', '.join(known)}"
            raise ConfigError(f"there is no option {name!r}", remedy)

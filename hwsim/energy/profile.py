"""An energy profile: one TOML file of coefficients, each with its value, unit, source and note.

`picojoule` prices counts; `static_power` is charged per chip and second.  `ann_mac` and
`paper_event` are the two prices of the usual comparison in papers on spiking networks, MACs of the
ANN against synaptic events.  Unknown keys are refused, so that no misspelt coefficient is ignored.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from hwsim.energy.counts import PARTS
from las_neuro.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).with_name("profiles")
Unit = TypeVar("Unit", bound=str)
Sentence = Annotated[str, Field(min_length=3)]


class Coefficient(BaseModel, Generic[Unit]):
    """One figure, at least 0, with its source."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: float = Field(ge=0, allow_inf_nan=False)
    unit: Unit
    source: Sentence
    note: str = ""


Picojoule = Coefficient[Literal["pJ"]]
Watt = Coefficient[Literal["W"]]


def _checked(prices: dict[str, Picojoule]) -> dict[str, Picojoule]:
    """Prices in the order of the counts; raises `ValueError` for a count that no run gives."""
    for name in prices:
        if name not in PARTS:
            raise ValueError(f"no count is called `{name}`")
    if "synaptic_event" in prices and {"event_add", "event_multiply"} & set(prices):
        raise ValueError("synaptic_event and event_add/event_multiply price the same events")
    if not prices:
        raise ValueError("a profile prices at least one count")
    return {name: prices[name] for name in PARTS if name in prices}


Prices = Annotated[dict[str, Picojoule], AfterValidator(_checked)]  # by count


class Profile(BaseModel):
    """Prices that turn counts into energy, and the scope they cover."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: Sentence
    basis: Literal["estimate", "measured"]
    scope: Sentence  # what is charged and what is not
    note: str = ""
    picojoule: Prices
    static_power: Watt | None = None  # per chip
    ann_mac: Picojoule | None = None
    paper_event: Picojoule | None = None


def builtin() -> tuple[str, ...]:
    """Names of the profiles that are part of the package.

    Profiles of a whole chip come first, then those that price the most counts.
    """
    profiles = [load(path) for path in sorted(FOLDER.glob("*.toml"))]
    profiles.sort(key=lambda one: (one.static_power is None, -len(one.picojoule)))
    return tuple(profile.name for profile in profiles)


def load(name: str | Path) -> Profile:
    """A built-in profile by name, or any profile by the path of its TOML file.

    Raises `ConfigError` if there is no such file, it is not a valid profile, or its name is not the
    file's.
    """
    path = Path(name) if str(name).endswith(".toml") else FOLDER / f"{name}.toml"
    try:
        fields: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(
            f"no energy profile `{name}`: {path} {error.strerror}",
            f"use one of {', '.join(builtin())}, or the path of a .toml file",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"energy profile {path}: not TOML ({error})", "fix the file") from error
    try:
        profile = Profile.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the profile"
        raise ConfigError(
            f"energy profile {path}: {where}: {first['msg']}",
            "give each coefficient as a table of value, unit, source and note, under a name that "
            "hwsim/energy/counts.py lists",
        ) from error
    if profile.name != path.stem:
        raise ConfigError(
            f"energy profile {path}: its name is `{profile.name}`, not `{path.stem}`",
            "name the file after the profile",
        )
    return profile


def load_with_builtin(own: Sequence[str | Path]) -> list[Profile]:
    """The built-in profiles, then those of the user's own files.

    Raises `ConfigError` as `load` does, and where two different profiles have the same name.
    """
    profiles = {name: load(name) for name in builtin()}
    for profile in map(load, own):
        if profiles.setdefault(profile.name, profile) != profile:
            raise ConfigError(
                f"two energy profiles are named `{profile.name}`",
                "give yours, and its file, a name of its own",
            )
    return list(profiles.values())

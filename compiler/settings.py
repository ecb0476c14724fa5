"""settings: options of a compilation from a TOML file, from `--option key=value`, or by name.

    system = "sdllm"
    calibrate = "text.txt"

    [options]       # the system's own
    k = 4.0

The file's keys are the fields of `compiler.options.Options`, with hyphens or underscores; an option
on the command line overrides the file's.  Paths in the file are relative to the file.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compiler.options import Options
from las_neuro.errors import ConfigError
from las_neuro.files import read_small

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OWN = "options"  # the file's table of the system's own options
LARGEST = 1 << 16  # bytes of a settings file


def from_file(path: Path, overrides: Mapping[str, Any]) -> Options:
    """The file's options, with those of the command line (`overrides`) in their place.

    Raises `ConfigError` naming the file and key.
    """
    try:
        values = tomllib.loads(read_small(path, LARGEST))
    except ValueError as error:
        raise ConfigError(f"{path}: is no TOML ({error})", "correct the line") from error
    own = values.pop(OWN, {})
    if not isinstance(own, dict):
        raise ConfigError(f"{path}, {OWN}: is no table", f"write [{OWN}] and the options below it")
    if "system_options" in values:
        raise ConfigError(f"{path}: a system's own options are a table", f"write [{OWN}]")
    values = {key.replace("-", "_"): value for key, value in values.items()}
    for key in ("calibrate", "tables"):
        if isinstance(values.get(key), str):
            values[key] = path.parent / values[key]
    try:
        options = Options().changed({**values, "system_options": own})
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.what}", error.remedy) from error
    own = {**own, **overrides.get("system_options", {})}
    return options.changed({**overrides, "system_options": own})


def own_options(pairs: Sequence[str]) -> dict[str, str]:
    """The values of all `--option key=value`, by key.

    Raises `ConfigError` for a text without key or equals sign.
    """
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ConfigError(f"--option {pair}: is not key=value", "write --option k=4")
        options[key.strip()] = value.strip()
    return options


def merged_options(
    from_command: Options, config: Path | None, overrides: Mapping[str, Any]
) -> Options:
    """The options of a command line, and of a file where `config` names one.

    from_command: all options of the command line; overrides: those that the user wrote.
    Raises `ConfigError` also for options that the system does not have.
    """
    options = from_command if config is None else from_file(config, overrides)
    _ = options.method  # raises on options that the system does not have
    return options

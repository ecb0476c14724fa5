"""settings: options of a compilation from a TOML file, from `--option key=value`, and by name.

    system = "sdllm"
    calibrate = "text.txt"

    [options]       # the system's own
    k = 4.0

The file's words are those of `compiler.options.Options`, which are the command line's with or
without hyphens; what stands on the command line wins.  Paths in the file are relative to it.
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

OWN = "options"  # a system's table in the file
LARGEST = 1 << 16  # bytes of a settings file


def from_file(path: Path, given: Mapping[str, Any]) -> Options:
    """The file's options, and over them those of the command line.

    Raises `ConfigError` naming the file and key.
    """
    try:
        read = tomllib.loads(read_small(path, LARGEST))
    except ValueError as error:
        raise ConfigError(f"{path}: is no TOML ({error})", "correct the line") from error
    own = read.pop(OWN, {})
    if not isinstance(own, dict):
        raise ConfigError(f"{path}, {OWN}: is no table", f"write [{OWN}] and the options below it")
    if "system_options" in read:
        raise ConfigError(f"{path}: a system's own options are a table", f"write [{OWN}]")
    read = {key.replace("-", "_"): value for key, value in read.items()}
    for key in ("calibrate", "tables"):
        if isinstance(read.get(key), str):
            read[key] = path.parent / read[key]
    try:
        from_file = Options().changed({**read, "system_options": own})
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.what}", error.remedy) from error
    own = {**own, **given.get("system_options", {})}
    return from_file.changed({**given, "system_options": own})


def own_options(pairs: Sequence[str]) -> dict[str, str]:
    """`--option key=value`, as often as there are options."""
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ConfigError(f"--option {pair}: is not key=value", "write --option k=4")
        options[key.strip()] = value.strip()
    return options


def chosen(typed: Options, config: Path | None, given: Mapping[str, Any]) -> Options:
    """What the command line asks for, over a file where one is named; the system's checked."""
    options = typed if config is None else from_file(config, given)
    _ = options.method  # raises on options that the system does not have
    return options

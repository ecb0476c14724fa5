"""options: the arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwsim.backends import load, names

BACKENDS = [(name, load(name)) for name in names()]

NetlistFile = Annotated[
    Path, typer.Argument(metavar="NETLIST", help="Netlist that las-compile wrote.")
]
Backend = Annotated[
    str, typer.Option(help="; ".join(f"{name}: {one.description}" for name, one in BACKENDS) + ".")
]
Timeout = Annotated[
    float,
    typer.Option(
        min=1,
        help="Most seconds of one run; for the backends "
        + ", ".join(name for name, one in BACKENDS if one.limits.timed)
        + ".",
    ),
]
ReferenceModel = Annotated[
    Path | None, typer.Option("--reference", help="The model compiled, to compare with in float32.")
]
Text = Annotated[Path, typer.Option(help="UTF-8 text; encoders read one sentence per line.")]
MaxTokens = Annotated[int, typer.Option(min=2, help="Most tokens to use; an image's are patches.")]
ReportFile = Annotated[
    Path | None, typer.Option("--output", "-o", help="Report to write: .html or .json.")
]

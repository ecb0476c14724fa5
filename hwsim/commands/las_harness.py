"""las-harness: the command of lm-evaluation-harness, with netlists as its model `las`."""

from __future__ import annotations

import sys

import typer

from las_neuro.errors import BackendError
from las_neuro.terminal import launch

PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


def harness(context: typer.Context) -> None:
    try:
        from hwsim.measure.harness import run_harness
    except ModuleNotFoundError as error:
        if error.name != "lm_eval":
            raise
        raise BackendError(
            "lm-evaluation-harness is not installed here", "pip install las-neuro[harness]"
        ) from error
    sys.argv[1:] = context.args
    run_harness()


def main() -> None:
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(context_settings=PASSED_ON)(harness)
    launch(app, "las-harness")

"""las-compile: compile a model folder to a netlist file, or plan what that would need."""

from __future__ import annotations

import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from compiler.commands.list_systems import systems
from compiler.compile import compile, planned
from compiler.dump import dump
from compiler.netlist.model import Netlist
from compiler.options import Options
from compiler.passes.contract import Pass
from compiler.pipeline import NAMES, Watch
from compiler.settings import merged_options, own_options
from compiler.timing import Timing
from las_neuro.errors import ConfigError, TargetError
from las_neuro.files import rereadable
from las_neuro.model_folder import model_files
from las_neuro.terminal import (
    Json,
    Quiet,
    Version,
    check_writable,
    command,
    print_facts,
    print_json,
    print_table,
    progress_bars,
)

EXAMPLES = """
  las-compile examples/tiny_lm -o tiny_lm.h5
  las-compile examples/tiny_lm -o tiny_lm.h5 --calibrate examples/tiny_lm/calibration.txt
  las-compile examples/tiny_lm --dump-after schedule
  las-compile examples/tiny_lm --plan --target kapoho-point
  las-compile examples/tiny_lm -o sdllm.h5 --system sdllm --calibrate examples/tiny_lm/calibration.txt
"""  # noqa: E501

Model = Annotated[
    Path | None,
    typer.Argument(
        metavar="MODEL", help="Folder of a Hugging Face model, its .safetensors file, or the index."
    ),
]
Out = Annotated[Path | None, typer.Option("--output", "-o", help="Netlist to write (.h5).")]
System = Annotated[str, typer.Option(help="Published method that makes the model spike.")]
Own = Annotated[
    list[str] | None,
    typer.Option("--option", help="An option of the system, key=value; may be repeated."),
]
Config = Annotated[
    Path | None, typer.Option(help="TOML file with these options by name; [options]: the system's.")
]
ListSystems = Annotated[
    bool, typer.Option("--list-systems", help="Explain the systems and their options.")
]
Calibrate = Annotated[
    Path | None,
    typer.Option(help="Text to measure ranges on (default: text the model generates itself)."),
]
Steps = Annotated[
    int | None,
    typer.Option(help="Time steps of a value; its binary digits in LAS. [default: the system's]"),
]
CodeForm = Annotated[
    str | None,
    typer.Option(
        "--code",
        help="Spikes of a value: binary, one digit per step; signed-digit, with fewest spikes; "
        "graded, as many digits per spike as fit. [default: graded where the target has graded "
        "spikes, else binary]",
    ),
]
Published = Annotated[bool, typer.Option("--published", help="LAS as published: binary spikes.")]
Ranges = Annotated[
    int,
    typer.Option(help="Thresholds of an encoder; 2: normal and outlier, 1: normal."),
]
ChannelSteps = Annotated[
    bool,
    typer.Option("--channel-steps", help="Let channels skip the digits that matter least."),
]
Planes = Annotated[
    int,
    typer.Option(help="int8 synapse groups that make up a weight: 1 or 2."),
]
ErrorBudget = Annotated[
    float | None,
    typer.Option(
        help="Largest error of the output: mean KL in nats, for an encoder 1 - cosine; steps and "
        "planes are then chosen layer by layer, as few as possible.",
    ),
]
TargetName = Annotated[
    str, typer.Option("--target", help="Chip or system; auto: the smallest that fits.")
]
Context = Annotated[
    int | None, typer.Option(help="Most tokens per sequence (default: all the model allows).")
]
DumpAfter = Annotated[
    str | None,
    typer.Option(help=f"Print the result of this pass as text: {', '.join(NAMES)}."),
]
TimePasses = Annotated[
    bool, typer.Option("--time-passes", help="Print every pass's seconds and peak memory.")
]
BuiltinOnly = Annotated[
    bool, typer.Option("--builtin-only", help="Refuse kinds that no built-in Lava process equals.")
]
TablesFile = Annotated[
    Path | None,
    typer.Option("--tables", help="Few-spikes tables of functions (theta, h, d), a JSON file."),
]
SubtractFirst = Annotated[
    bool,
    typer.Option(
        "--subtract-first",
        help="The tables subtract before they test (h[0] is dead), as published ones do; "
        "default: SpikingJelly's order.",
    ),
]
Plan = Annotated[
    bool,
    typer.Option("--plan", help="Only say what the model would need; reads only config.json."),
]


OPTIONS = {field.name for field in fields(Options)}  # the command's parameters have these names


class DumpPrinted(Exception):
    """Ends the compilation after the dump of a pass, where no netlist is to be written."""


def compile_command(
    ctx: typer.Context,
    model: Model = None,
    output: Out = None,
    system: System = Options.system,
    option: Own = None,
    config: Config = None,
    list_systems: ListSystems = False,
    calibrate: Calibrate = None,
    steps: Steps = None,
    code: CodeForm = None,
    published: Published = False,
    ranges: Ranges = Options.ranges,
    channel_steps: ChannelSteps = Options.channel_steps,
    weight_planes: Planes = Options.weight_planes,
    error_budget: ErrorBudget = None,
    target: TargetName = Options.target,
    context: Context = None,
    dump_after: DumpAfter = None,
    time_passes: TimePasses = False,
    builtin_only: BuiltinOnly = False,
    tables: TablesFile = None,
    subtract_first: SubtractFirst = False,
    plan: Plan = False,
    json: Json = False,
    quiet: Quiet = False,
    version: Version = False,
) -> None:
    """Compile a language model into a netlist of integer compartments.

    The netlist is written completely or not at all; the same input gives the same bytes.
    """
    if list_systems:
        return typer.echo(systems())
    if model is None:
        raise ConfigError("no model is named", "give a model folder: las-compile MODEL -o FILE.h5")
    _check_names(target, dump_after)
    values = {name: value for name, value in locals().items() if name in OPTIONS}
    options = Options(**values, system_options=own_options(option or ()))
    options = merged_options(options, config, _overrides(ctx, options))
    if plan:
        return _plan(model, options, json)
    if output is None and dump_after is None:
        raise ConfigError("no netlist to write", "name one with -o FILE.h5")
    if output is not None:
        inputs = (*model_files(model), config, options.calibrate, options.tables)
        check_writable(output, inputs)
    started = time.perf_counter()
    times: list[dict[str, Any]] = []
    try:
        net = _compile(model, options, output, quiet, _observer(dump_after, output, times))
    except DumpPrinted:
        return
    assert output is not None
    record = summary(net, output, time.perf_counter() - started)
    _report(record | ({"passes": times} if time_passes else {}), json, quiet)


def _report(record: dict[str, Any], json: bool, quiet: bool) -> None:
    """Print the result of a compilation, as JSON or as tables."""
    if json:
        return print_json(record)
    if quiet:
        return None
    if "passes" in record:
        print_table(_times(record["passes"]))
    if record["error_budget"]:
        print_table(_choices(record["error_budget"]))
    return print_facts(_facts(record))


def _overrides(ctx: typer.Context, options: Options) -> dict[str, Any]:
    """The options that the user wrote on the command line, by the names of `Options`."""
    aliases = {"option": "system_options"}
    names = [
        aliases.get(name, name)
        for name in ctx.params
        if (source := ctx.get_parameter_source(name)) and source.name == "COMMANDLINE"
    ]
    return {name: getattr(options, name) for name in names if hasattr(options, name)}


def _observer(dump_after: str | None, output: Path | None, times: list[dict[str, Any]]) -> Watch:
    """A callback that records each pass's timing in `times` and prints the result of one pass.

    It raises DumpPrinted after that pass where `output` is None.  The result of a skipped pass is
    its input.
    """

    def watch(one: Pass, network: Any, timing: Timing | None) -> None:
        times.append({"pass": one.name, **(vars(timing) if timing else {})})
        if one.name == dump_after:
            typer.echo(dump(network), nl=False)
            if output is None:
                raise DumpPrinted

    return watch


def _times(passes: list[dict[str, Any]]) -> Any:
    """A table of seconds and peak memory, one row per pass."""
    from rich.table import Table

    table = Table(title="passes")
    for column in ("pass", "seconds", "peak memory, MB"):
        table.add_column(column, justify="left" if column == "pass" else "right")
    for row in passes:
        cost = ("not needed", "")
        if "seconds" in row:
            cost = (f"{row['seconds']:.2f}", f"{row['peak_bytes'] / 1e6:,.0f}")
        table.add_row(row["pass"], *cost)
    return table


def _compile(
    model: Path, options: Options, output: Path | None, quiet: bool, watch: Watch | None
) -> Netlist:
    """Compile, write the netlist, and show progress."""
    from compiler.netlist.hdf5 import save

    with (
        rereadable(options.calibrate) as calibrate,
        rereadable(options.tables) as tables,
        progress_bars(quiet) as tell,
    ):
        options = replace(options, calibrate=calibrate, tables=tables)
        net = compile(model, options, watch=watch, progress=tell)
        assert output is not None
        tell("write", 0, 1)
        save(net, output)
        tell("write", 1, 1)
    return net


compile_command.__name__ = "compile"  # the command's name; `compile` here is the function
main = command(compile_command, EXAMPLES)


def summary(net: Netlist, path: Path, seconds: float) -> dict[str, Any]:
    """Facts about a compiled netlist and its file, as plain values."""
    assert net.placement is not None
    return {
        "netlist": str(path),
        "bytes": path.stat().st_size,
        "family": net.family,
        "context": net.context,
        "target": net.placement.target,
        "cores": net.placement.cores,
        "fewest_cores": net.provenance["fewest_cores"],
        "chips": net.placement.chips,
        "populations": len(net.populations),
        "compartments": sum(population.n for population in net.populations.values()),
        "synapses": sum(int(net.fan_out(group).sum()) for group in net.synapses),
        "steps_per_token": net.period,
        "phases": len(net.phases),
        "calibration": net.provenance["calibration"],
        "error_budget": net.provenance.get("error_budget"),
        "seconds": seconds,
    }


def _choices(budget: dict[str, Any]) -> Any:
    """A table of the choices for an error budget, node by node, with reasons."""
    from rich.table import Table

    table = Table(
        title=f"error budget {budget['budget']:.3g}: {budget['measured']:.3g} measured on the "
        "calibration text"
    )
    for column in ("node", "choice", "error alone", "why"):
        table.add_column(column, justify="right" if column == "error alone" else "left")
    for choice in budget["choices"]:
        table.add_row(choice["node"], choice["what"], f"{choice['alone']:.1e}", choice["why"])
    return table


def _facts(record: dict[str, Any]) -> dict[str, str]:
    return {
        "netlist": f"{record['netlist']}  ({record['bytes'] / 1e6:,.1f} MB)",
        "model": f"{record['family']}, context {record['context']:,} tokens",
        "target": f"{record['target']}, {record['cores']:,} cores on {record['chips']:,} chips"
        f" ({record['fewest_cores']:,} would do)",
        "compartments": f"{record['compartments']:,} in {record['populations']:,} populations",
        "synapses": f"{record['synapses']:,}",
        "steps": f"{record['steps_per_token']:,} per token, {record['phases']:,} phases",
        "time": f"{record['seconds']:,.1f} s",
    }


def _check_names(target: str, dump_after: str | None) -> None:
    from compiler.targets.target import load

    if target != "auto":
        load(target)
    if dump_after is not None and dump_after not in NAMES:
        raise ConfigError(f"unknown pass {dump_after!r}", f"choose one of {', '.join(NAMES)}")


def _plan(model: Path, options: Options, json: bool) -> None:
    """Print the plan; raises TargetError where a named target is too small."""
    from compiler.mapping.plan import plan, render

    beside_weights = model.name.endswith((".safetensors", ".safetensors.index.json"))
    net = planned(model.parent if beside_weights else model, options)
    target = options.target
    needs = plan(net, target)
    if json:
        print_json(needs.as_dict())
    else:
        print_table(render(needs))
    if target != "auto" and not needs.fits:
        what, _, remedy = needs.refused.partition("; help: ")
        raise TargetError(f"{model}: {what or needs.problem}", remedy or needs.advice)

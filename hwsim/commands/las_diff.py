"""las-diff: compare two models or netlists on one text, node by node, to find an error's source."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwsim.accounts.wording import error
from hwsim.backends import DEFAULT
from hwsim.backends.backend import RUN_SECONDS
from hwsim.commands.options import Backend, MaxTokens, ReportFile, Text, Timeout
from las_neuro.model_folder import model_files
from las_neuro.terminal import (
    Quiet,
    Version,
    check_writable,
    command,
    print_facts,
    print_table,
    printable,
    progress_bars,
)

if TYPE_CHECKING:
    from hwsim.accounts.depth_error import DepthComparison

EXAMPLES = """
  las-diff examples/tiny_lm tiny_lm.h5 --text examples/tiny_lm/heldout.txt -o diff.html
  las-diff tiny_lm.h5 tiny_lm.h5 --backend-b step --text examples/tiny_lm/heldout.txt --max-tokens 8
"""

ModelOrNetlist = Annotated[
    Path, typer.Argument(help="Model folder, .safetensors file, or netlist.", show_default=False)
]
Budget = Annotated[
    float | None,
    typer.Option(min=0, help="Largest relative error a node may carry; exit 1 beyond.  [0.01]"),
]


def diff(
    a: ModelOrNetlist,
    b: ModelOrNetlist,
    text: Text,
    backend_a: Backend = DEFAULT,
    backend_b: Backend = DEFAULT,
    budget: Budget = None,
    max_tokens: MaxTokens = 512,
    output: ReportFile = None,
    timeout: Timeout = RUN_SECONDS,
    quiet: Quiet = False,
    version: Version = False,
) -> None:
    """Find where B differs from A: the error of every node along the depth, and its source.

    Models run in float32, netlists on their backend.  Exit 1 where a given budget is exceeded, or
    where A and B are the same netlist and differ.
    """
    from hwsim.accounts.depth_error import BUDGET
    from hwsim.measure.diff import diff as compare

    if output is not None:
        check_writable(output, (*model_files(a), *model_files(b), text))
    with progress_bars(quiet) as tell:
        comparison = compare(
            a,
            b,
            text,
            backends=(backend_a, backend_b),
            max_tokens=max_tokens,
            budget=BUDGET if budget is None else budget,
            timeout=timeout,
            progress=tell,
        )
    if output is not None:
        write(comparison, output)
    if not quiet:
        print_table(table(comparison))
        print_facts(facts(comparison) | ({"written": str(output)} if output else {}))
    over_budget = budget is not None and comparison.over
    if over_budget or (comparison.same and comparison.differ):
        raise typer.Exit(1)


def write(comparison: DepthComparison, output: Path) -> None:
    """Write the comparison as a page, or as JSON where the name ends in .json."""
    from hwsim.accounts.depth_page import render_depth
    from hwsim.commands.report_file import write_report_file

    write_report_file(output, comparison.to_dict(), lambda: render_depth(comparison))


def table(comparison: DepthComparison) -> Any:
    """Table of errors by layer and operator along the depth, with the worst node of each."""
    from rich.table import Table
    from rich.text import Text

    knows_added = comparison.source is not None
    rows = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("layer", "operator"):
        rows.add_column(name)
    names = ("nodes", "carried", *(("added",) if knows_added else ()), "largest", "clamps", "wraps")
    for name in names:
        rows.add_column(name, justify="right")
    rows.add_column("worst node", overflow="fold")
    last = ""
    for group in comparison.groups:
        figures = [f"{group.nodes}", error(group.carried.carried)]
        figures += [error(group.added.added if group.added else None)] if knows_added else []
        figures += [error(group.largest), f"{group.clamps:,}", f"{group.wraps:,}"]
        over = group.carried.carried > comparison.budget
        cells = [group.layer if group.layer != last else "", group.op, *figures]
        last = group.layer
        worst = printable(group.carried.node)
        rows.add_row(*map(Text, [*cells, worst]), style="bold red" if over else None)
    return rows


def facts(comparison: DepthComparison) -> dict[str, str]:
    """The most important results of the comparison."""
    over, worst, source = comparison.over, comparison.worst, comparison.source
    end, tokens = comparison.rows[-1], f"{comparison.tokens:,} tokens"
    lines = {
        "compared": f"{comparison.second} beside {comparison.first}, {tokens}",
        "first over budget": f"{over.node} ({over.op}) carries {error(over.carried)}, "
        f"budget {comparison.budget:g}"
        if over
        else f"none; budget {comparison.budget:g}",
        "largest carried": f"{error(worst.carried)} at {worst.node} ({worst.op})",
        "at the end": f"{error(end.carried)} at {end.node} ({end.op})",
    }
    if source is not None:
        lines["most added"] = f"{error(source.added)} by {source.node} ({source.op})"
    if comparison.spikes is not None:
        lines["spikes"] = _spikes(comparison.spikes)
    return lines


def _spikes(result: dict[str, Any]) -> str:
    if result["why"]:
        return f"cannot be compared one by one: {result['why']}"
    if result["difference"]:
        return f"first difference: {result['difference']['text']}"
    return f"all {result['spikes']:,} of {result['tokens']} tokens are equal"


main = command(diff, EXAMPLES)

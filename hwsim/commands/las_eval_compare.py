"""las_eval_compare: `las-eval --compare`, which compares several netlists of one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

from rich.table import Table
from rich.text import Text

from hwsim.accounts.side_by_side import NAMES, Column, SideBySide, columns
from hwsim.accounts.wording import precise, times
from hwsim.measure.compare import compare, open_alike
from hwsim.measure.reference import float_model
from las_neuro.errors import ConfigError
from las_neuro.model_folder import model_files
from las_neuro.progress import Progress
from las_neuro.terminal import (
    check_writable,
    print_facts,
    print_json,
    print_table,
    printable,
)

FOLDED = ("netlist", "system", "profile")
ENERGY = ("profile", "as papers count", "without idle steps", "everything")


def check_request(
    paths: Sequence[Path],
    text: Path | None,
    reference: Path | None,
    alone: Mapping[str, Path | None],
    output: Path | None,
) -> None:
    """Raise ConfigError unless the options fit a comparison of netlists.

    alone: options for a single netlist, none of which may have a value.
    """
    if len(paths) == 1:
        raise ConfigError(
            "--output: it writes a comparison, and only one netlist is named",
            "add --compare NETLIST, or write one netlist's error with --depth FILE",
        )
    for name, value in alone.items():
        if value is not None:
            raise ConfigError(
                f"{name}: --compare measures several netlists on a text", f"leave {name} out"
            )
    if text is None or reference is None:
        missing = "--text FILE" if text is None else "--reference MODEL"
        raise ConfigError(
            "--compare measures netlists beside their float model on a text", f"give {missing} too"
        )
    if output is not None:
        check_writable(output, (*paths, text, *model_files(reference)))


def measured(
    paths: Sequence[Path],
    text: Path,
    reference: Path | None,
    limit: int,
    lines: bool,
    progress: Progress,
) -> SideBySide:
    """Errors and costs of all netlists on one text.

    Raises ConfigError unless the netlists are of one model, the reference.
    """
    nets = open_alike(paths)
    model = float_model(reference, nets[0])
    return compare(paths, nets, text, model, limit=limit, lines=lines, progress=progress)


def show(comparison: SideBySide, output: Path | None, *, as_json: bool, quiet: bool) -> None:
    """Write a comparison to `output`, and print it as JSON or as tables unless `quiet`."""
    if output is not None:
        from hwsim.accounts.compare_page import render_comparison
        from hwsim.commands.report_file import write_report_file

        write_report_file(output, comparison.to_dict(), lambda: render_comparison(comparison))
    if as_json:
        print_json(comparison.to_dict())
    elif not quiet:
        for table in tables(comparison):
            print_table(table)
        print_facts(facts(comparison) | ({"written": str(output)} if output else {}))


def tables(comparison: SideBySide) -> list[Table]:
    """Tables of errors, costs and energy ratios, each for a terminal of 80 characters.

    A dot marks netlists for which no other netlist has both less error and fewer events.
    """
    errors, costs = columns(comparison)
    return [
        *(_by_netlist(comparison, group) for group in (NAMES + errors, NAMES[:1] + costs)),
        _table(["netlist", *ENERGY], _energy(comparison)),
    ]


def _by_netlist(comparison: SideBySide, group: Sequence[Column]) -> Table:
    front = comparison.front
    rows = [
        ["●" if i in front else "", *(cell(row) for _, cell in group)]
        for i, row in enumerate(comparison.rows)
    ]
    return _table(["", *(heading for heading, _ in group)], rows)


def _energy(comparison: SideBySide) -> list[list[str]]:
    """Energy of the spiking network over the float model's: one row per netlist and profile."""
    return [
        [row.netlist, ratio.profile, *map(times, (ratio.paper, ratio.active, ratio.full))]
        for row in comparison.rows
        for ratio in row.audit.comparison.ratios
    ]


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table whose names wrap where the terminal is narrow; numbers never do."""
    table = Table()
    for place, heading in enumerate(headings):
        if heading in FOLDED:
            table.add_column(heading, overflow="fold")
            continue
        width = max((len(row[place]) for row in rows), default=0)
        longest = max(map(len, heading.split()), default=1)
        wrapped = fill(heading, max(width, longest))
        table.add_column(wrapped, justify="right" if heading else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, map(printable, row)))
    return table


def facts(comparison: SideBySide) -> dict[str, str]:
    """Facts that are not in the tables."""
    tokens, counted = comparison.tokens, comparison.counted
    lines = {"text": f"{comparison.text}: {tokens:,} tokens measured, {counted:,} counted"}
    if comparison.scored:
        perplexity = comparison.rows[0].figures["reference_perplexity"]
        lines["float model"] = f"perplexity {precise(perplexity)}"
    lines["energy"] = "of the netlist over its float model's, by each profile (estimate)"
    lines["●"] = "no other netlist has both less error and fewer SynOps"
    return lines

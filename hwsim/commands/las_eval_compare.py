"""las_eval_compare: `las-eval --compare`, several netlists of one model side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from hwsim.accounts.side_by_side import NAMES, Candidate, Column, SideBySide, columns
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


def check_request(
    paths: Sequence[Path],
    text: Path | None,
    reference: Path | None,
    alone: Mapping[str, Path | None],
    output: Path | None,
) -> None:
    """Raise unless the options fit a comparison of netlists; `alone`: those that do not."""
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
    """All netlists, proved to be of one model and of the reference's, on one text."""
    nets = open_alike(paths)
    model = float_model(reference, nets[0])
    return compare(paths, nets, text, model, limit=limit, lines=lines, progress=progress)


def show(comparison: SideBySide, output: Path | None, *, as_json: bool, quiet: bool) -> None:
    """Write and print a comparison, whichever was asked for."""
    if output is not None:
        from hwsim.accounts.compare_page import render_comparison
        from hwsim.commands.report_file import write_report_file

        write_report_file(output, comparison.to_dict(), lambda: render_comparison(comparison))
    if as_json:
        print_json(comparison.to_dict())
    elif not quiet:
        print_table(accuracy_table(comparison))
        print_table(energy_table(comparison))
        print_facts(facts(comparison) | ({"written": str(output)} if output else {}))


def accuracy_table(comparison: SideBySide) -> Table:
    """One row a netlist; a dot where no other one beats it in both error and events."""
    return _table(comparison, (*NAMES, *columns(comparison)))


def energy_table(comparison: SideBySide) -> Table:
    """Spiking over ordinary energy, three ratios a profile."""
    profiles: list[Column] = [NAMES[0]]
    for place, ratio in enumerate(comparison.rows[0].audit.comparison.ratios):
        profiles.append((f"energy ratio, {ratio.profile}", _ratios(place)))
    return _table(comparison, profiles)


def _ratios(place: int) -> Callable[[Candidate], str]:
    def cell(row: Candidate) -> str:
        ratio = row.audit.comparison.ratios[place]
        return " / ".join(map(times, (ratio.paper, ratio.active, ratio.full)))

    return cell


def _table(comparison: SideBySide, shown: Sequence[Column]) -> Table:
    table = Table("")
    for heading, _ in shown:
        text = heading in dict(NAMES)
        table.add_column(
            heading, justify="left" if text else "right", overflow="fold" if text else "ellipsis"
        )
    front = comparison.front
    for i, row in enumerate(comparison.rows):
        cells = [printable(cell(row)) for _, cell in shown]
        table.add_row("●" if i in front else "", *map(Text, cells))
    return table


def facts(comparison: SideBySide) -> dict[str, str]:
    """What the tables leave out."""
    tokens, counted = comparison.tokens, comparison.counted
    said = {"text": f"{comparison.text}: {tokens:,} tokens measured, {counted:,} counted"}
    if comparison.scored:
        perplexity = comparison.rows[0].figures["reference_perplexity"]
        said["float model"] = f"perplexity {precise(perplexity)}"
    said["energy ratios"] = "as papers count / without idle steps / everything (estimate)"
    said["●"] = "no other netlist has both less error and fewer SynOps"
    return said

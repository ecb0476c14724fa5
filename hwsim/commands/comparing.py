"""comparing: several netlists of one model on one text, errors and costs side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.netlist.model import Netlist
from hwsim.accounts.side_by_side import NAMES, Column, Row, SideBySide, columns
from hwsim.accounts.wording import precise, times
from hwsim.commands.accounting import account
from hwsim.generate import opened
from hwsim.measure.evaluate import Passage, Progress, Reference, evaluate, read_passages
from las_neuro.errors import ConfigError
from las_neuro.terminal import check_writable, print_facts, print_json, print_table, printable

if TYPE_CHECKING:
    from rich.table import Table

COUNTED = 512  # most tokens of a counted run, as las-audit's default


def check_request(
    others: Sequence[Path],
    text: Path | None,
    reference: Path | None,
    alone: Mapping[str, Path | None],
    output: Path | None,
) -> Path:
    """The text to compare on, where the options fit a comparison; `alone`: those that do not."""
    if not others:
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
        check_writable(output)
    return text


def open_alike(paths: Sequence[Path]) -> list[Netlist]:
    """The netlists, proved to be of one model and to read a text alike."""
    nets = [opened(path) for path in paths]
    first = nets[0]
    for path, net in zip(paths, nets, strict=True):
        if net.pixels:
            raise ConfigError(
                f"{path}: this {net.family} netlist reads images, --compare reads a text",
                "measure it alone: las-eval NETLIST --images FILE.npy",
            )
        made, wanted = _model(net), _model(first)
        if made != wanted:
            raise ConfigError(
                f"{path}: is {made}, {paths[0]} {wanted}", "compare netlists of one model"
            )
        if net.tokenizer != first.tokenizer:
            raise ConfigError(
                f"{path}: has another tokenizer than {paths[0]}",
                "compile both from one model folder",
            )
    return nets


def _model(net: Netlist) -> str:
    return f"{net.family} with {net.vocabulary} words that gives {net.output_kind}"


def compare(
    paths: Sequence[Path],
    nets: Sequence[Netlist],
    text: Path,
    reference: Reference,
    *,
    limit: int,
    lines: bool = False,
    progress: Progress = lambda stage, done, of: None,
) -> SideBySide:
    """Measure every netlist on at most `limit` tokens, and count on the first of them.

    All read the text in the same sequences: those of the shortest context.
    """
    reader = replace(nets[0], context=min(net.context for net in nets))
    passages = read_passages(reader, text, limit, lines)
    counted = _counted(reader, read_passages(reader, text, min(limit, COUNTED), lines), lines)
    rows = []
    for number, (name, net) in enumerate(zip(_names(paths), nets, strict=True), start=1):
        tell = _numbered(progress, f"netlist {number} of {len(nets)}: ")
        rows.append(_row(name, net, passages, counted, reference, tell))
    return SideBySide(text.name, tuple(rows))


def _row(
    name: str,
    net: Netlist,
    passages: Sequence[Passage],
    counted: Sequence[Sequence[int]],
    reference: Reference,
    progress: Progress,
) -> Row:
    size = sum(passage.size for passage in passages)
    figures = evaluate(net, [one.ids for one in passages], reference, progress, size)
    options = net.provenance.get("options")
    made = account(net, counted, name, progress)
    return Row(name, options if isinstance(options, dict) else {}, figures, made)


def _counted(net: Netlist, passages: Sequence[Passage], lines: bool) -> list[list[int]]:
    """What the counted run reads; the end of a causal model's line is only predicted."""
    last = -1 if lines and net.causal else None
    return [passage.ids[:last] for passage in passages]


def _names(paths: Sequence[Path]) -> list[str]:
    """File names; where two are alike, the paths as they were given."""
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _numbered(progress: Progress, which: str) -> Progress:
    return lambda stage, done, of: progress(which + stage, done, of)


def show(made: SideBySide, output: Path | None, as_json: bool, quiet: bool) -> None:
    """Write and print a comparison, whichever was asked for."""
    if output is not None:
        write(made, output)
    if as_json:
        print_json(made.to_dict())
    elif not quiet:
        print_table(accuracy_table(made))
        print_table(energy_table(made))
        print_facts(facts(made) | ({"written": str(output)} if output else {}))


def write(made: SideBySide, output: Path) -> None:
    """The page, or plain values where the name ends in .json."""
    from hwsim.accounts.compare_page import render_comparison
    from las_neuro.files import write_atomic

    if output.suffix == ".json":
        write_atomic(output, json.dumps(made.to_dict(), indent=2, allow_nan=False) + "\n")
    else:
        write_atomic(output, render_comparison(made))


def accuracy_table(made: SideBySide) -> Table:
    """One row a netlist; a dot where no other one beats it in both error and events."""
    return _table(made, (*NAMES, *columns(made)))


def energy_table(made: SideBySide) -> Table:
    """Spiking over ordinary energy, three ratios a profile."""
    profiles: list[Column] = [NAMES[0]]
    for place, ratio in enumerate(made.rows[0].audit.comparison.ratios):
        profiles.append((f"energy ratio, {ratio.profile}", _ratios(place)))
    return _table(made, profiles)


def _ratios(place: int) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        ratio = row.audit.comparison.ratios[place]
        return " / ".join(map(times, (ratio.paper, ratio.active, ratio.full)))

    return cell


def _table(made: SideBySide, shown: Sequence[Column]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("")
    for heading, _ in shown:
        text = heading in dict(NAMES)
        table.add_column(
            heading, justify="left" if text else "right", overflow="fold" if text else "ellipsis"
        )
    front = made.front
    for i, row in enumerate(made.rows):
        cells = [printable(cell(row)) for _, cell in shown]
        table.add_row("●" if i in front else "", *map(Text, cells))
    return table


def facts(made: SideBySide) -> dict[str, str]:
    """What the tables leave out."""
    said = {"text": f"{made.text}: {made.tokens:,} tokens measured, {made.counted:,} counted"}
    if made.scored:
        perplexity = made.rows[0].figures["reference_perplexity"]
        said["float model"] = f"perplexity {precise(perplexity)}"
    said["energy ratios"] = "as papers count / without idle steps / everything (estimate)"
    said["●"] = "no other netlist has both less error and fewer SynOps"
    return said

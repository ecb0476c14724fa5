"""compare: errors and costs of several netlists of one model on one text, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from compiler.netlist.model import Netlist
from hwsim.accounts.side_by_side import Candidate, SideBySide
from hwsim.generate import open_netlist
from hwsim.measure.account import account
from hwsim.measure.evaluate import Passage, Reference, evaluate, read_passages
from hwsim.measure.reference import described
from las_neuro.errors import ConfigError
from las_neuro.progress import Progress, silent

COUNTED = 512  # most tokens of the run that is counted, as las-audit's default


def open_alike(paths: Sequence[Path]) -> list[Netlist]:
    """The netlists of the files.

    Raises ConfigError unless all are of one model, have the same tokenizer and read text.
    """
    nets = [open_netlist(path) for path in paths]
    first = nets[0]
    for path, net in zip(paths, nets, strict=True):
        if net.pixels:
            raise ConfigError(
                f"{path}: this {net.family} netlist reads images, --compare reads a text",
                "measure it alone: las-eval NETLIST --images FILE.npy",
            )
        if described(net) != described(first):
            raise ConfigError(
                f"{path}: is {described(net)}, {paths[0]} {described(first)}",
                "compare netlists of one model",
            )
        if net.tokenizer != first.tokenizer:
            raise ConfigError(
                f"{path}: has another tokenizer than {paths[0]}",
                "compile both from one model folder",
            )
    return nets


def compare(
    paths: Sequence[Path],
    nets: Sequence[Netlist],
    text: Path,
    reference: Reference,
    *,
    limit: int,
    lines: bool = False,
    progress: Progress = silent,
) -> SideBySide:
    """Measure errors on at most `limit` tokens of a text, and costs on the first `COUNTED` of them.

    lines: every line is a sequence.  All netlists read the same sequences, which fit the shortest
    context.
    """
    reader = replace(nets[0], context=min(net.context for net in nets))
    passages = read_passages(reader, text, limit, lines)
    inputs = _inputs(reader, read_passages(reader, text, min(limit, COUNTED), lines), lines)
    rows = []
    for number, (name, net) in enumerate(zip(_names(paths), nets, strict=True), start=1):
        tell = _numbered(progress, f"netlist {number} of {len(nets)}: ")
        rows.append(_row(name, net, passages, inputs, reference, tell))
    return SideBySide(text.name, tuple(rows))


def _row(
    name: str,
    net: Netlist,
    passages: Sequence[Passage],
    inputs: Sequence[Sequence[int]],
    reference: Reference,
    progress: Progress,
) -> Candidate:
    size = sum(passage.size for passage in passages)
    figures = evaluate(net, [one.ids for one in passages], reference, progress, size)
    options = net.provenance.get("options")
    costs = account(net, inputs, name, progress)
    return Candidate(name, options if isinstance(options, dict) else {}, figures, costs)


def _inputs(net: Netlist, passages: Sequence[Passage], lines: bool) -> list[list[int]]:
    """Sequences of the counted run; the last token of a causal model's line is only predicted."""
    last = -1 if lines and net.causal else None
    return [passage.ids[:last] for passage in passages]


def _names(paths: Sequence[Path]) -> list[str]:
    """File names; or the paths, where two names are equal."""
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _numbered(progress: Progress, which: str) -> Progress:
    return lambda stage, done, of: progress(which + stage, done, of)

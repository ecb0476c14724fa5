"""las-eval: the accuracy of a netlist on a text, questions or images, also compared with others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compiler.netlist.model import Netlist
from hwsim.commands.options import MaxTokens, NetlistFile, ReferenceModel, ReportFile
from las_neuro.errors import ConfigError
from las_neuro.files import rereadable
from las_neuro.model_folder import model_files
from las_neuro.progress import Progress
from las_neuro.terminal import (
    Json,
    Quiet,
    Version,
    check_writable,
    command,
    print_json,
    print_table,
    progress_bars,
)

if TYPE_CHECKING:
    from rich.table import Table

    from hwsim.measure.evaluate import Reference
    from hwsim.measure.evaluate_images import Reference as ImageReference

EXAMPLES = """
  las-eval tiny_lm.h5 --text examples/tiny_lm/heldout.txt --reference examples/tiny_lm
  las-eval tiny_lm.h5 --text examples/tiny_lm/heldout.txt --max-tokens 512 --json
  las-eval tiny_lm.h5 --compare sdllm.h5 --text examples/tiny_lm/heldout.txt --reference examples/tiny_lm
"""  # noqa: E501
OF_REFERENCE = "reference_"
STDERR = "_stderr"

Text = Annotated[Path | None, typer.Option(help="UTF-8 text to measure on.")]
Tasks = Annotated[
    Path | None,
    typer.Option(help="Questions, one JSON object per line: context, choices, gold."),
]
Images = Annotated[
    Path | None,
    typer.Option(help="Floats [images, channels, height, width], as the model's processor gives."),
]
Lines = Annotated[
    bool, typer.Option("--lines", help="Each line is a sequence between start tokens.")
]
Depth = Annotated[
    Path | None,
    typer.Option(help="Write each node's error beside --reference: .html or .json."),
]
Others = Annotated[
    list[Path] | None,
    typer.Option("--compare", help="Another netlist of the model to set beside it; repeatable."),
]


def evaluate(
    netlist: NetlistFile,
    text: Text = None,
    tasks: Tasks = None,
    images: Images = None,
    reference: ReferenceModel = None,
    lines: Lines = False,
    depth: Depth = None,
    compare: Others = None,
    output: ReportFile = None,
    max_tokens: MaxTokens = 4096,
    json: Json = False,
    quiet: Quiet = False,
    version: Version = False,
) -> None:
    """Measure a netlist on text, questions or images, and how close it is to its float model.

    A decoder reads a text as one stream, in windows as long as its context; an encoder reads one
    sentence per line.  A question is answered by the likeliest of its choices.
    """
    from hwsim.generate import open_netlist
    from hwsim.measure.reference import float_model

    if compare or output:
        from hwsim.commands.las_eval_compare import check_request, measured, show

        alone = {"--tasks": tasks, "--images": images, "--depth": depth}
        paths = [netlist, *(compare or ())]
        check_request(paths, text, reference, alone, output)
        with rereadable(text) as source, progress_bars(quiet) as tell:
            assert source is not None
            comparison = measured(paths, source, reference, max_tokens, lines, tell)
        return show(comparison, output, as_json=json, quiet=quiet)
    check_sources(text, tasks, images, lines)
    if depth:
        check_writable(depth, (netlist, text, tasks, images, *model_files(reference)))
    net = open_netlist(netlist)
    check_reads(net, tasks, images)
    model = float_model(reference, net)
    with rereadable(text) as source, progress_bars(quiet) as tell:
        if depth:
            _write_depth(net, reference, source, depth, max_tokens, lines, tell)
        if source:
            figures = text_figures(net, source, model, max_tokens, lines, tell)
        elif images:
            figures = image_figures(net, images, model, max_tokens, tell)
        else:
            assert tasks is not None
            figures = task_figures(net, tasks, model, tell)
    if json:
        print_json(figures)
    else:
        print_table(table(figures))


evaluate.__name__ = "eval"  # the command's name is a builtin's


def _write_depth(
    net: Netlist,
    reference: Path | None,
    text: Path | None,
    output: Path,
    limit: int,
    lines: bool,
    progress: Progress,
) -> None:
    from hwsim.commands.las_diff import write
    from hwsim.measure.diff import depth_beside

    write(depth_beside(net, reference, text, limit=limit, lines=lines, progress=progress), output)


def check_sources(text: Path | None, tasks: Path | None, images: Path | None, lines: bool) -> None:
    """Raise ConfigError unless there is exactly one text, task file or image file to measure on."""
    if sum(source is not None for source in (text, tasks, images)) != 1:
        raise ConfigError(
            "--text, --tasks and --images: one of the three is needed, and only one",
            "give --text FILE for perplexity, --tasks FILE.jsonl for multiple choice, "
            "--images FILE.npy for a vision model",
        )
    if lines and text is None:
        raise ConfigError("--lines: only a text has lines to read one by one", "leave --lines out")


def check_reads(net: Netlist, tasks: Path | None, images: Path | None) -> None:
    """Raise ConfigError for text to a vision netlist, or images to a language netlist."""
    if net.pixels and images is None:
        raise ConfigError(
            f"{'--tasks' if tasks else '--text'}: this {net.family} netlist reads images, not text",
            "give --images FILE.npy",
        )
    if images is not None and not net.pixels:
        raise ConfigError(
            f"--images: this {net.family} netlist reads text, not images", "give --text FILE"
        )


def text_figures(
    net: Netlist,
    text: Path,
    reference: Reference | None,
    limit: int,
    lines: bool,
    progress: Progress,
) -> dict[str, Any]:
    from hwsim.measure.evaluate import evaluate, read_passages

    passages = read_passages(net, text, limit, lines)
    sequences = [passage.ids for passage in passages]
    size = sum(passage.size for passage in passages)
    return evaluate(net, sequences, reference, progress, size)


def task_figures(
    net: Netlist, tasks: Path, reference: Reference | None, progress: Progress
) -> dict[str, Any]:
    from hwsim.measure.tasks import read_items, score
    from hwsim.measure.threads import limit_threads

    limit_threads(net)  # questions are short
    return score(net, read_items(net, tasks), reference, progress)


def image_figures(
    net: Netlist, path: Path, reference: ImageReference | None, limit: int, progress: Progress
) -> dict[str, Any]:
    """The first images of a file, at most `limit` tokens but at least one image."""
    from hwsim.measure.evaluate_images import evaluate_images
    from las_neuro.patches import patches, read_images

    images = read_images(path, max(1, limit // net.context))
    rows = patches(images, net.pixels, net.context)
    return evaluate_images(net, rows, images, reference, progress)


def table(figures: dict[str, Any]) -> Table:
    """One row per figure; figures of no single model are in the netlist's column."""
    from rich.table import Table

    has_reference = any(name.startswith(OF_REFERENCE) for name in figures)
    columns = Table("figure")
    for model in ("netlist", "float model")[: 1 + has_reference]:
        columns.add_column(model, justify="right")
    for name, value in figures.items():
        if name.startswith(OF_REFERENCE) or name.endswith(STDERR):
            continue
        row = [number(value, figures.get(name + STDERR))]
        other = OF_REFERENCE + name
        if has_reference:
            error = figures.get(other + STDERR)
            row.append(number(figures[other], error) if other in figures else "")
        columns.add_row(name.replace("_", " "), *row)
    return columns


def number(value: float | int, error: float | None) -> str:
    """A figure as text, with ± its standard error where it has one."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}" if error is None else f"{value:.4f} ± {error:.4f}"


main = command(evaluate, EXAMPLES)

"""evaluating: a text, a task file or images measured; the figures of both models side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.netlist.model import Netlist
from hwsim.measure.evaluate import Progress, Reference, evaluate, read_passages
from hwsim.measure.evaluate_images import Reference as ImageReference
from hwsim.measure.evaluate_images import evaluate_images
from las_neuro.errors import ConfigError
from las_neuro.patches import patches, read_images

if TYPE_CHECKING:
    from rich.table import Table

OF_REFERENCE = "reference_"
STDERR = "_stderr"


def check_sources(text: Path | None, tasks: Path | None, images: Path | None, lines: bool) -> None:
    """Raise unless there is one thing to measure."""
    if sum(source is not None for source in (text, tasks, images)) != 1:
        raise ConfigError(
            "--text, --tasks and --images: one of the three is needed, and only one",
            "give --text FILE for perplexity, --tasks FILE.jsonl for multiple choice, "
            "--images FILE.npy for a vision model",
        )
    if lines and text is None:
        raise ConfigError("--lines: only a text has lines to read one by one", "leave --lines out")


def check_reads(net: Netlist, tasks: Path | None, images: Path | None) -> None:
    """Raise where a vision netlist is given words, or another one images."""
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
    passages = read_passages(net, text, limit, lines)
    sequences = [passage.ids for passage in passages]
    size = sum(passage.size for passage in passages)
    return evaluate(net, sequences, reference, progress, size)


def task_figures(
    net: Netlist, tasks: Path, reference: Reference | None, progress: Progress
) -> dict[str, Any]:
    from hwsim.generate import spare_threads
    from hwsim.measure.tasks import read_items, score

    spare_threads(net)  # questions are short
    return score(net, read_items(net, tasks), reference, progress)


def image_figures(
    net: Netlist, path: Path, reference: ImageReference | None, limit: int, progress: Progress
) -> dict[str, Any]:
    """The first images of a file, at most `limit` tokens but at least one image."""
    images = read_images(path, max(1, limit // net.context))
    rows = patches(images, net.pixels, net.context)
    return evaluate_images(net, rows, images, reference, progress)


def table(figures: dict[str, Any]) -> Table:
    """One row a figure; what belongs to no model, or compares them, stands under the netlist."""
    from rich.table import Table

    compared = any(name.startswith(OF_REFERENCE) for name in figures)
    made = Table("figure")
    for model in ("netlist", "float model")[: 1 + compared]:
        made.add_column(model, justify="right")
    for name, value in figures.items():
        if name.startswith(OF_REFERENCE) or name.endswith(STDERR):
            continue
        row = [shown(value, figures.get(name + STDERR))]
        other = OF_REFERENCE + name
        if compared:
            error = figures.get(other + STDERR)
            row.append(shown(figures[other], error) if other in figures else "")
        made.add_row(name.replace("_", " "), *row)
    return made


def shown(value: float | int, error: float | None) -> str:
    """A figure for people; ± its standard error where it has one."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}" if error is None else f"{value:.4f} ± {error:.4f}"

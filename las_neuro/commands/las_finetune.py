"""las-finetune: trains a model for integrate-and-fire neurons (FAS)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from las_neuro.errors import ConfigError
from las_neuro.files import rereadable
from las_neuro.neurons.fas_tables import MOST_STEPS
from las_neuro.terminal import (
    Json,
    Quiet,
    Version,
    command,
    print_facts,
    print_json,
    progress_bars,
)

EXAMPLES = """
  las-finetune examples/tiny_lm --text examples/tiny_lm/calibration.txt -o tiny_fas
  las-finetune MODEL --text book.txt -o FOLDER --updates 2000 --device cuda
  las-finetune MODEL --text book.txt -o FOLDER --steps 4 --levels 8
  las-compile tiny_fas --system fas -o tiny_fas.h5
"""

Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help="Folder of a Hugging Face text model.")
]
TextFile = Annotated[
    Path, typer.Option("--text", help="UTF-8 text to train on; .npy or .json of token ids.")
]
Out = Annotated[Path, typer.Option("--output", "-o", help="Folder to write; must not exist.")]
Heldout = Annotated[
    Path | None, typer.Option(help="Text to measure on (default: every tenth window of --text).")
]
Levels = Annotated[
    int, typer.Option(min=1, max=MOST_STEPS, help="L: levels of the quantised activation.")
]
Steps = Annotated[
    int | None,
    typer.Option(min=1, max=MOST_STEPS, help="T: time steps of a neuron. [default: the levels]"),
]
Updates = Annotated[int, typer.Option(min=0, help="Optimizer steps of fine-tuning.")]
Batch = Annotated[int, typer.Option("--batch-tokens", min=1, help="Tokens per update.")]
Rate = Annotated[
    float, typer.Option("--lr", min=0.0, help="Learning rate of the weights (the paper: 9e-5).")
]
ThresholdRate = Annotated[
    float,
    typer.Option(
        "--threshold-lr", min=0.0, help="Learning rate of the thresholds (the paper: 1e-3 to 5e-2)."
    ),
]
Quantile = Annotated[
    float,
    typer.Option(
        min=0.5, max=1.0, help="Quantile of the float activation at which a threshold starts."
    ),
]
Distil = Annotated[
    float,
    typer.Option(
        min=0.0, max=1.0, help="Weight of the float logits in the loss; 1: for a short text."
    ),
]
CalibrationUpdates = Annotated[
    int, typer.Option(min=0, help="Optimizer steps of the fine calibration.")
]
CalibrationRate = Annotated[
    float, typer.Option("--calibration-lr", min=0.0, help="Learning rate of the fine calibration.")
]
Published = Annotated[
    bool,
    typer.Option("--published", help="The paper's coarse step: thresholds * 0.6, m0 0.2 in GPT-2."),
]
Device = Annotated[str, typer.Option(help="Where torch computes: cpu, cuda, cuda:1, ...")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the order of the text.")]
SaveEvery = Annotated[
    int, typer.Option(min=1, help="Updates between two states saved in OUTPUT.partial.")
]
Resume = Annotated[
    bool,
    typer.Option(help="Continue from OUTPUT.partial if it exists; --no-resume: refuse it."),
]


def finetune(
    model: Model,
    text: TextFile,
    output: Out,
    heldout: Heldout = None,
    levels: Levels = 8,
    steps: Steps = None,
    updates: Updates = 400,
    batch: Batch = 2048,
    lr: Rate = 3e-4,
    threshold_lr: ThresholdRate = 1e-2,
    quantile: Quantile = 0.999,
    distil: Distil = 0.5,
    calibration_updates: CalibrationUpdates = 100,
    calibration_lr: CalibrationRate = 3e-3,
    published: Published = False,
    device: Device = "cpu",
    seed: Seed = 0,
    save_every: SaveEvery = 100,
    resume: Resume = True,
    json: Json = False,
    quiet: Quiet = False,
    version: Version = False,
) -> None:
    """Fine-tune a text model for spiking neurons in its feed-forward blocks, then calibrate them.

    FAS (arXiv 2502.04405).  The folder is written whole or not at all; las-compile FOLDER --system
    fas compiles it.  After an interruption the same command continues from the last saved state.
    """
    from las_neuro.training.finetune import finetune as run
    from las_neuro.training.tuned_folder import check_free
    from las_neuro.training.tuning import Settings

    check_free(output)
    state = output.with_name(f"{output.name}.partial")
    if not resume and state.exists():
        raise ConfigError(f"{state}: an interrupted run is there", "remove it, or let it go on")
    settings = Settings(
        steps=steps or levels,
        levels=levels,
        updates=updates,
        batch=batch,
        rate=lr,
        threshold_rate=threshold_lr,
        quantile=quantile,
        distil=distil,
        calibration_updates=calibration_updates,
        calibration_rate=calibration_lr,
        published=published,
        seed=seed,
    )
    with rereadable(text) as source, rereadable(heldout) as test, progress_bars(quiet) as progress:
        assert source is not None
        train = partial(run, heldout=test, device=device, save_every=save_every)
        record = train(model, source, output, settings, progress=progress)
    if json:
        print_json({"folder": str(output), **record})
    elif not quiet:
        print_facts(_facts(output, record))


def _facts(output: Path, record: dict[str, Any]) -> dict[str, str]:
    measured = record["measured"]
    return {
        "folder": str(output),
        "neurons": f"{record['steps']} steps, in place of {record['activation']} at "
        f"{record['levels']} levels",
        "measured": f"{measured['what']}, on text it was not trained on",
        "float model": f"{measured['float']:.4f}",
        "quantised": f"{measured['qcfs_before']:.4f} before, {measured['qcfs']:.4f} after "
        f"{record['settings']['updates']} updates",
        "spiking": f"{measured['coarse']:.4f} coarse, {measured['spiking']:.4f} calibrated",
    }


main = command(finetune, EXAMPLES)

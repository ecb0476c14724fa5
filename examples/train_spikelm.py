"""Train a language model with SpikeLM's elastic bi-spiking neurons (arXiv 2406.03287).

    python examples/train_spikelm.py tiny_spikelm
    las-compile tiny_spikelm --system spikelm -o tiny_spikelm.h5

Every linear map except the head gets ternary neurons at its inputs, and so do keys and values.  The
network runs T times on its input and its outputs are averaged (las_neuro/training/elastic.py).  The
paper trains from scratch on 8 GPUs; this script starts from a trained float model and also distils
from it, with the loss

    (1 - distil) * cross-entropy of the next token + distil * KL(float || spiking)

An encoder is trained on the error of its hidden states alone.  The default run takes about 10
minutes on two cores.
"""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated

import torch
import typer
from rich.progress import track
from train_tiny_lm import FOLDER, split_corpus, topics

from las_neuro.architectures import draw
from las_neuro.checkpoint import Checkpoint
from las_neuro.errors import LasError
from las_neuro.reference.model import FloatModel
from las_neuro.training.elastic import Repeated
from las_neuro.training.training_text import Text, read_text
from las_neuro.training.tuned_folder import check_free, write_folder
from las_neuro.training.tuning import Tuning, half_cosine

CLIP = 1.0  # largest norm of the gradient


@dataclass(frozen=True)
class Settings:
    """Settings of a run, as spikelm.json records them.  passes: T, repetitions of the network."""

    passes: int
    updates: int
    batch_tokens: int
    lr: float
    distil: float
    seed: int


def main(
    out: Annotated[Path, typer.Argument(help="Folder to write; must not exist.")],
    model: Annotated[Path, typer.Option(help="Float text model to start from.")] = FOLDER,
    text: Annotated[
        Path | None, typer.Option(help="Text to train on (default: that of tiny_lm).")
    ] = None,
    heldout: Annotated[Path | None, typer.Option(help="Text to measure on.")] = None,
    passes: Annotated[
        int, typer.Option(min=1, max=16, help="T: how often the network runs on each input.")
    ] = 4,
    updates: Annotated[int, typer.Option(min=0, help="Optimizer steps.")] = 600,
    batch_tokens: Annotated[int, typer.Option(min=1, help="Tokens per update.")] = 2048,
    lr: Annotated[float, typer.Option(min=0.0, help="Learning rate, falling to 0.")] = 1e-3,
    distil: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Weight of the float logits in the loss.")
    ] = 0.5,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the batches.")] = 0,
) -> None:
    """Train, measure and write a Hugging Face folder with the neurons among its weights."""
    settings = Settings(passes, updates, batch_tokens, lr, distil, seed)
    try:
        record = train(model, text, heldout, out, settings)
    except LasError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    print(record)


def train(
    folder: Path, text: Path | None, heldout: Path | None, out: Path, settings: Settings
) -> dict[str, object]:
    """The whole run; returns the contents of spikelm.json."""
    check_free(out)
    torch.manual_seed(settings.seed)
    checkpoint = Checkpoint.open(folder)
    rows = _read(checkpoint, text, heldout)
    original = FloatModel.load(checkpoint)
    original.module.requires_grad_(False)
    spiking = Repeated(FloatModel.load(checkpoint).module.requires_grad_(True), settings.passes)
    tuning = Tuning(spiking, original.module, [], [], [], original.causal, torch.device("cpu"))
    figures = {"float": tuning.measure(rows.heldout, original.module)}
    with torch.no_grad():
        tuning.loss(rows.batch(settings.seed, 0, settings.batch_tokens), 0.0)  # sets the amplitudes
    figures["before"] = tuning.measure(rows.heldout)
    fit(tuning, rows, settings)
    figures["spiking"] = tuning.measure(rows.heldout)
    what = "perplexity" if tuning.causal else "relative error"
    record = {"measured": {"what": what, **figures}, "settings": asdict(settings)}
    write_folder(out, spiking.model, checkpoint, spiking.tables(), record)
    return record


def _read(checkpoint: Checkpoint, text: Path | None, heldout: Path | None) -> Text:
    graph = draw(checkpoint)
    if text is not None:
        return read_text(checkpoint, graph, text, heldout)
    with NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(split_corpus(topics)[0])
        file.flush()
        return read_text(checkpoint, graph, Path(file.name), FOLDER / "heldout.txt")


def fit(tuning: Tuning, text: Text, settings: Settings) -> None:
    """Train with AdamW without decay, its rate falling along a half cosine."""
    weights = list(tuning.model.parameters())
    optimizer = torch.optim.AdamW(weights, lr=settings.lr, weight_decay=0.0)
    shown = track(range(settings.updates), "training", disable=not sys.stdout.isatty())
    for update in shown:
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * half_cosine(update, settings.updates)
        batch = text.batch(settings.seed, update, settings.batch_tokens)
        loss = tuning.loss(batch, settings.distil)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, CLIP)
        optimizer.step()
        if update % 100 == 0 and not sys.stdout.isatty():
            print(f"update {update}: loss {float(loss.detach()):.4f}", flush=True)


if __name__ == "__main__":
    typer.run(main)

"""finetune: FAS stage 1, the whole model trained with QCFS in place of its activations.

FAS (arXiv 2502.04405): full-parameter fine-tuning with quantised clip-floor-shift activations, then
calibration (fas_calibrate.py).  The loss, with p the model and f its float original:

    causal   (1 - d) * cross-entropy of the next token + d * KL(f || p) of the logits
    encoder  mean square of (hidden states of p - those of f)

The paper trains decoders on the text alone (d = 0) and encoders on masked words.  Here a decoder is
also distilled from its float original, which keeps a small model near it on a small text.  An
encoder is only distilled, because small encoders are published without the head that predicts
masked words.  The paper starts thresholds at constants (2.0, 1.24, 2.5); here each starts at a
quantile of the float activation's output on the text, so every family starts near its float model.
Dropout is off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor as Torch
from torch import nn

from las_neuro.architectures import draw
from las_neuro.checkpoint import Checkpoint
from las_neuro.errors import ConfigError, UnsupportedError
from las_neuro.files import sha256_of
from las_neuro.neurons.fas_tables import FasTables
from las_neuro.progress import Progress, silent
from las_neuro.training.fas_calibrate import calibrate
from las_neuro.training.qcfs import BEFORE_FULL, Neuron
from las_neuro.training.training_state import (
    check_partial,
    load_state,
    partial_folder,
    remove_state,
    save_state,
)
from las_neuro.training.training_text import Text, read_text
from las_neuro.training.tuned_folder import write_folder
from las_neuro.training.tuning import Settings, Tuning, half_cosine, prepare

THRESHOLD_TOKENS = 8192  # whose activations give the thresholds' initial values
MOST_VALUES = 1 << 20  # of an activation, from which its quantile is taken
CLIP = 1.0  # largest norm of the gradient


def finetune(
    model_path: Path,
    text: Path,
    out: Path,
    settings: Settings,
    *,
    heldout: Path | None = None,
    device: str = "cpu",
    save_every: int = 100,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Fine-tune and calibrate a checkpoint; write folder `out` and return the contents of fas.json.

    During training `<out>.partial` holds the run's state, and the same call continues from it.
    Raises `Diverged` if numbers become infinite or NaN, and other `LasError`s for bad input.
    """
    where = _device(device)
    checkpoint = Checkpoint.open(model_path)
    graph = draw(checkpoint)
    if graph.pixels:
        raise UnsupportedError(
            f"{checkpoint.folder}: a vision model reads no text", "fine-tune a text model"
        )
    partial = partial_folder(out)
    check_partial(partial, checkpoint.folder)
    rows = read_text(checkpoint, graph, text, heldout)
    tuning = prepare(checkpoint, where)
    figures = {"float": tuning.measure(rows.heldout, tuning.original)}
    start_thresholds(tuning, rows, settings)
    figures["qcfs_before"] = tuning.measure(rows.heldout)
    run_name = _run_name(checkpoint, text, settings)
    try:
        train(tuning, rows, settings, partial, run_name, save_every, progress)
        figures["qcfs"] = tuning.measure(rows.heldout)
        _check_finite("the trained model's error", figures["qcfs"], "--lr or --threshold-lr")
    except Diverged:  # a run that continued from this state would diverge again
        remove_state(partial)
        raise
    fine = calibrate(tuning, rows, settings, progress)
    figures["coarse"] = fine.coarse
    tuning.put(fine.neurons)
    figures["spiking"] = tuning.measure(rows.heldout)
    for name in ("coarse", "spiking"):
        _check_finite(f"the {name} error", figures[name], "--calibration-lr")
    record = _record(tuning, settings, figures, fine.updates, text)
    tables = tables_of(fine.neurons, settings.steps)
    tuning.put(tuning.originals)
    write_folder(out, tuning.model, checkpoint, tables, record)
    remove_state(partial)
    return {"steps": settings.steps, **record}


class Diverged(ConfigError):
    """The rate is so large that the model's numbers are no longer finite."""


def start_thresholds(tuning: Tuning, text: Text, settings: Settings) -> None:
    """Put QCFS in place, each threshold at a quantile of its float activation's output.

    The quantile is of the positive part, because QCFS outputs 0 for anything below zero.
    """
    samples: list[list[Torch]] = [[] for _ in tuning.names]
    hooks = [
        tuning.model.get_submodule(name).register_forward_hook(
            lambda module, inputs, y, outputs=outputs: outputs.append(
                y.detach().relu().flatten().cpu()
            )
        )
        for name, outputs in zip(tuning.names, samples, strict=True)
    ]
    number, tokens = 0, 0
    with torch.no_grad():
        while tokens < min(THRESHOLD_TOKENS, text.tokens):
            batch = text.batch(settings.seed + 1, number, settings.batch)
            tuning.run(tuning.model, batch)
            number, tokens = number + 1, tokens + batch.size
    for hook in hooks:
        hook.remove()
    half = torch.tensor(0.5, device=tuning.device)
    for outputs in samples:
        values = torch.cat(outputs)
        values = values[:: -(-len(values) // MOST_VALUES)]
        threshold = max(float(torch.quantile(values, settings.quantile)), 1e-3)
        start = torch.tensor(threshold, device=tuning.device)
        tuning.neurons.append(Neuron(start, half, settings.levels))
    tuning.put(tuning.neurons)


def train(
    tuning: Tuning,
    text: Text,
    settings: Settings,
    partial: Path,
    run_name: dict[str, Any],
    save_every: int,
    progress: Progress,
) -> None:
    """AdamW without decay, both rates falling along a half cosine.

    The state is saved to folder `partial` every `save_every` updates; training continues from a
    state saved there.  Raises `Diverged` if the loss is not finite.
    """
    weights = {name: p for name, p in tuning.model.named_parameters() if p.requires_grad}
    thresholds = [neuron.threshold for neuron in tuning.neurons]
    own = {id(p) for p in thresholds}
    plain = [p for p in weights.values() if id(p) not in own]
    optimizer = torch.optim.AdamW(
        [
            {"params": plain, "peak": settings.rate},
            {"params": thresholds, "peak": settings.threshold_rate},
        ],
        weight_decay=0.0,
    )
    first = load_state(partial, weights, optimizer, run_name)
    progress("fine-tune", first, settings.updates)
    for update in range(first, settings.updates):
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * half_cosine(update, settings.updates)
        loss = tuning.loss(text.batch(settings.seed, update, settings.batch), settings.distil)
        _check_finite(f"the loss at update {update + 1}", float(loss.detach()), "--lr")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights.values(), CLIP)
        optimizer.step()
        for neuron in tuning.neurons:
            neuron.clamp()
        if (update + 1) % save_every == 0 or update + 1 == settings.updates:
            save_state(partial, weights, optimizer, update + 1, run_name)
        progress("fine-tune", update + 1, settings.updates)


def tables_of(neurons: Sequence[Neuron], steps: int) -> FasTables:
    """Thresholds and initial potentials by layer, as a checkpoint stores them."""
    threshold = {i: n.threshold.detach().cpu().numpy() for i, n in enumerate(neurons)}
    initial = {i: n.initial.detach().cpu().numpy() for i, n in enumerate(neurons)}
    clamped = {i: np.clip(m, 0, BEFORE_FULL).astype(np.float32) for i, m in initial.items()}
    return FasTables(steps, threshold, clamped)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # fails on `meta`, which stores no numbers
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"device {name!r} cannot be used here",
            "use --device cpu, or cuda on a machine that has it",
        ) from error
    return device


def _run_name(checkpoint: Checkpoint, text: Path, settings: Settings) -> dict[str, Any]:
    """What an interrupted run and the run that continues it must have in common."""
    return {"model": checkpoint.sha256, "text": sha256_of(text), **asdict(settings)}


def _record(
    tuning: Tuning, settings: Settings, figures: dict[str, float], updates: int, text: Path
) -> dict[str, Any]:
    config: Any = tuning.model.config
    fields = ("hidden_act", "activation_function", "activation")
    return {
        "levels": settings.levels,
        "published": settings.published,
        "activation": next((getattr(config, f) for f in fields if hasattr(config, f)), None),
        "measured": {"what": "perplexity" if tuning.causal else "relative error", **figures},
        "text": text.name,
        "settings": asdict(settings),
        "calibration_updates_kept": updates,
    }


def _check_finite(what: str, number: float, option: str) -> None:
    if not math.isfinite(number):
        raise Diverged(f"{what} is {number}", f"use a smaller {option}")

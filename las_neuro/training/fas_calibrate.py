"""fas_calibrate: FAS stage 2, one threshold and one initial potential per channel.

Coarse step (arXiv 2502.04405): each layer's scalar threshold is copied to every neuron, with
m0 = 0.5.  The published code for GPT-2 then multiplies thresholds by 0.6 and raises m0 from 0 to
0.2 (`published`); its code for BERT only copies.

Fine step: the weights are fixed; thresholds and m0 are trained so that the spiking model reproduces
the same model with QCFS.  The loss is

    sum over layers of mean (IF mean - QCFS output)^2 + KL(QCFS logits || IF logits)

For an encoder the mean squared error of the hidden states replaces KL.  A neuron's input is the
same in every step here, because it has been summed before the neuron starts.  So for T = L and the
plain coarse step the two models already agree, and nothing is trained.

The paper keeps a threshold for each (position, channel): 1024 x 3072 numbers per layer of GPT-2.  A
chip that decodes token by token has one neuron per channel, which serves every position with one
threshold, so here thresholds are kept per channel only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor as Torch

from las_neuro.progress import Progress
from las_neuro.rows import Tokens
from las_neuro.training.qcfs import Neuron
from las_neuro.training.training_text import Text
from las_neuro.training.tuning import Settings, Tuning, divergence, half_cosine

PUBLISHED = {"gpt2": (0.6, 0.0 + 0.2)}  # model_type -> threshold factor, initial potential
PLAIN = (1.0, 0.5)
VALIDATION_BATCHES = 4  # of the training text; they decide whether the fine step is kept


@dataclass(frozen=True)
class Calibration:
    """Neurons by layer, threshold and initial [channels].

    updates: optimizer steps of the fine step, 0 if it was not kept.  coarse: perplexity, or an
    encoder's relative error, before the fine step.
    """

    neurons: list[Neuron]
    updates: int
    coarse: float


def calibrate(tuning: Tuning, text: Text, settings: Settings, progress: Progress) -> Calibration:
    """The coarse step, then the fine step if it lowers the loss.

    The model is left with its QCFS neurons.
    """
    factor, initial = PLAIN
    if settings.published:
        config = tuning.model.config
        factor, initial = PUBLISHED.get(str(config.model_type), PLAIN)
    neurons = coarse(tuning, text.heldout[0], settings.steps, factor, initial)
    tuning.put(neurons)
    error = tuning.measure(text.heldout)
    tuning.put(tuning.neurons)
    same = settings.steps == settings.levels and (factor, initial) == PLAIN
    if same or not settings.calibration_updates:
        return Calibration(neurons, 0, error)
    copies = [(n.threshold.detach().clone(), n.initial.detach().clone()) for n in neurons]
    batches = [text.batch(settings.seed + 2, i, settings.batch) for i in range(VALIDATION_BATCHES)]
    before = _mean_loss(tuning, neurons, batches)
    _fine(tuning, neurons, text, settings, progress)
    updates = settings.calibration_updates
    if not _mean_loss(tuning, neurons, batches) < before:
        updates = 0
        for neuron, (threshold, start) in zip(neurons, copies, strict=True):
            neuron.threshold.data, neuron.initial.data = threshold, start
    return Calibration(neurons, updates, error)


def coarse(
    tuning: Tuning, tokens: Tokens, steps: int, factor: float, initial: float
) -> list[Neuron]:
    """Neurons with each layer's scalar threshold copied to all its channels.

    factor: of the thresholds.  initial: m0.
    """
    _, outputs = _outputs(tuning, tuning.neurons, tokens[:1])
    neurons = []
    for neuron, y in zip(tuning.neurons, outputs, strict=True):
        threshold = neuron.threshold.detach() * factor
        channels = (y.shape[-1],)
        start = torch.full_like(y[0, 0], initial)
        neurons.append(Neuron(threshold.expand(channels), start, steps))
    return neurons


def _fine(
    tuning: Tuning,
    neurons: list[Neuron],
    text: Text,
    settings: Settings,
    progress: Progress,
) -> None:
    own = [p for n in neurons for p in (n.threshold, n.initial)]
    for parameter in (*tuning.model.parameters(), *own):
        parameter.requires_grad_(any(parameter is p for p in own))
    optimizer = torch.optim.AdamW(own, settings.calibration_rate, weight_decay=0.0)
    updates = settings.calibration_updates
    for update in range(updates):
        for group in optimizer.param_groups:
            group["lr"] = settings.calibration_rate * half_cosine(update, updates)
        # batches that fine-tuning has not used
        batch = text.batch(settings.seed, settings.updates + update, settings.batch)
        optimizer.zero_grad()
        loss = _loss(tuning, neurons, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        for neuron in neurons:
            neuron.clamp()
        progress("calibrate", update + 1, updates)


@torch.no_grad()
def _mean_loss(tuning: Tuning, neurons: list[Neuron], batches: Sequence[Tokens]) -> float:
    losses = [float(_loss(tuning, neurons, batch)) * batch.size for batch in batches]
    return sum(losses) / sum(batch.size for batch in batches)


def _loss(tuning: Tuning, neurons: list[Neuron], tokens: Tokens) -> Torch:
    """The loss of the fine step."""
    with torch.no_grad():
        target, quantised = _outputs(tuning, tuning.neurons, tokens)
    output, spiking = _outputs(tuning, neurons, tokens)
    loss = divergence(output, target) if tuning.causal else F.mse_loss(output, target)
    for y, expected in zip(spiking, quantised, strict=True):
        loss = loss + F.mse_loss(y, expected)
    return loss


def _outputs(
    tuning: Tuning, neurons: Sequence[Neuron], tokens: Tokens
) -> tuple[Torch, list[Torch]]:
    """The model's output with these neurons in place, and each neuron's output [B, S, n]."""
    tuning.put(neurons)
    for neuron in neurons:
        neuron.recording = True
    output = tuning.run(tuning.model, tokens)
    recordings = []
    for neuron in neurons:
        assert neuron.recorded is not None
        recordings.append(neuron.recorded)
        neuron.recording, neuron.recorded = False, None
    tuning.put(tuning.neurons)
    return output, recordings

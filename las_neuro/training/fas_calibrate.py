"""fas_calibrate: FAS stage 2, one threshold and one initial potential a channel.

Coarse (arXiv 2502.04405): each layer's scalar is copied to every neuron, m0 = 0.5.  The published
code's GPT-2 then multiplies thresholds by 0.6 and raises m0 from 0 to 0.2 (`published`); its BERT
copies only.

Fine: the weights stay; thresholds and m0 are trained so that the spiking model does what the same
model does with QCFS,

    sum over layers of mean (IF mean - QCFS output)^2 + KL(QCFS logits || IF logits)

(of an encoder, the mean square between hidden states in place of KL).  Input is the same in every
step, because whatever feeds a neuron here has been added up before it starts; so for T = L and the
plain coarse step the two models are one already, and nothing is trained.

The paper keeps a threshold for each (position, channel): 1024 x 3072 numbers a layer of GPT-2.  A
chip that decodes as a stream has one neuron a channel, which serves every position with the one
threshold it was given, so only channels are kept here.
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
from las_neuro.training.tuning import Settings, Tuning, divergence, falling

PUBLISHED = {"gpt2": (0.6, 0.0 + 0.2)}  # model_type -> factor of thresholds, initial potential
PLAIN = (1.0, 0.5)
JUDGED = 4  # batches of the training text that decide whether the fine step is kept


@dataclass(frozen=True)
class Calibrated:
    """Neurons by layer, threshold and initial [channels]; updates: of the fine step, if kept.

    coarse: the figure of merit before the fine step.
    """

    neurons: list[Neuron]
    updates: int
    coarse: float


def calibrated(tuning: Tuning, text: Text, settings: Settings, tell: Progress) -> Calibrated:
    """Coarse, then fine where that is an improvement; the model is left with its QCFS neurons."""
    factor, initial = PLAIN
    if settings.published:
        config = tuning.model.config
        factor, initial = PUBLISHED.get(str(config.model_type), PLAIN)
    neurons = coarse(tuning, next(iter(text.aside)), settings.steps, factor, initial)
    tuning.put(neurons)
    measured = tuning.measure(text.aside)
    tuning.put(tuning.neurons)
    same = settings.steps == settings.levels and (factor, initial) == PLAIN
    if same or not settings.calibration_updates:
        return Calibrated(neurons, 0, measured)
    copied = [(n.threshold.detach().clone(), n.initial.detach().clone()) for n in neurons]
    judged = [text.batch(settings.seed + 2, i, settings.batch) for i in range(JUDGED)]
    before = _total(tuning, neurons, judged)
    _fine(tuning, neurons, text, settings, tell)
    updates = settings.calibration_updates
    if not _total(tuning, neurons, judged) < before:
        updates = 0
        for neuron, (threshold, start) in zip(neurons, copied, strict=True):
            neuron.threshold.data, neuron.initial.data = threshold, start
    return Calibrated(neurons, updates, measured)


def coarse(
    tuning: Tuning, tokens: Tokens, steps: int, factor: float, initial: float
) -> list[Neuron]:
    """The scalar of each layer, for each of its channels."""
    _, sent = _outputs(tuning, tuning.neurons, tokens[:1])
    made = []
    for neuron, y in zip(tuning.neurons, sent, strict=True):
        threshold = neuron.threshold.detach() * factor
        channels = (y.shape[-1],)
        made.append(Neuron(threshold.expand(channels), torch.full_like(y[0, 0], initial), steps))
    return made


def _fine(
    tuning: Tuning,
    neurons: list[Neuron],
    text: Text,
    settings: Settings,
    tell: Progress,
) -> None:
    trained = [p for n in neurons for p in (n.threshold, n.initial)]
    for parameter in (*tuning.model.parameters(), *trained):
        parameter.requires_grad_(any(parameter is p for p in trained))
    optimizer = torch.optim.AdamW(trained, settings.calibration_rate, weight_decay=0.0)
    updates = settings.calibration_updates
    for update in range(updates):
        for group in optimizer.param_groups:
            group["lr"] = settings.calibration_rate * falling(update, updates)
        # numbers that fine-tuning has not used
        batch = text.batch(settings.seed, settings.updates + update, settings.batch)
        optimizer.zero_grad()
        loss = _difference(tuning, neurons, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        for neuron in neurons:
            neuron.hold()
        tell("calibrate", update + 1, updates)


@torch.no_grad()
def _total(tuning: Tuning, neurons: list[Neuron], batches: Sequence[Tokens]) -> float:
    losses = [float(_difference(tuning, neurons, batch)) * batch.size for batch in batches]
    return sum(losses) / sum(batch.size for batch in batches)


def _difference(tuning: Tuning, neurons: list[Neuron], tokens: Tokens) -> Torch:
    """What the fine step minimises."""
    with torch.no_grad():
        wanted, quantised = _outputs(tuning, tuning.neurons, tokens)
    found, spiking = _outputs(tuning, neurons, tokens)
    loss = divergence(found, wanted) if tuning.causal else F.mse_loss(found, wanted)
    for y, goal in zip(spiking, quantised, strict=True):
        loss = loss + F.mse_loss(y, goal)
    return loss


def _outputs(
    tuning: Tuning, neurons: Sequence[Neuron], tokens: Tokens
) -> tuple[Torch, list[Torch]]:
    """The model's output with these neurons in place, and what each of them sent [B, S, n]."""
    tuning.put(neurons)
    for neuron in neurons:
        neuron.keep = True
    output = tuning.run(tuning.model, tokens)
    sent = []
    for neuron in neurons:
        assert neuron.seen is not None
        sent.append(neuron.seen)
        neuron.keep, neuron.seen = False, None
    tuning.put(tuning.neurons)
    return output, sent

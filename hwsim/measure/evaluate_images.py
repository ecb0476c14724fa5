"""evaluate_images: how close a vision netlist is to its float model, image by image.

A classifier is compared by its classes; a model without a head by the class token's hidden state.
Both models get the same batches, after one warm-up run each that is not timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.model import Netlist
from hwsim.backends import DEFAULT, find
from hwsim.backends.backend import run_whole
from hwsim.measure.evaluate import BATCH_TOKENS
from las_neuro.progress import Progress, silent

Floats = NDArray[np.float32]
Reference = Callable[[Floats], Floats]  # images -> classes [B, labels] or hidden states [B, S, D]


def evaluate_images(
    net: Netlist,
    patches: Floats,
    images: Floats,
    reference: Reference | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Figures as plain values; with a reference also its agreement with the netlist.

    patches: inputs of the netlist [N, S, pixels].  images: the same images as the reference reads
    them [N, C, H, W].
    """
    backend = find(DEFAULT)
    session = backend.open(net)
    session.feed(patches[:1])
    if reference:
        reference(images[:1])
    size = max(1, BATCH_TOKENS // patches.shape[1])
    ours, theirs = [], []  # outputs of the class token
    seconds = {"seconds": 0.0} | ({"reference_seconds": 0.0} if reference else {})
    for start in range(0, len(images), size):
        progress("evaluate", start, len(images))
        started = time.perf_counter()
        payloads = run_whole(session, backend.limits, patches[start : start + size])
        seconds["seconds"] += time.perf_counter() - started
        ours.append(payloads[:, 0] * net.populations[net.output].unit)
        if reference:
            started = time.perf_counter()
            true = reference(images[start : start + size])
            seconds["reference_seconds"] += time.perf_counter() - started
            theirs.append(true if net.output_kind == "classes" else true[:, 0])
    progress("evaluate", len(images), len(images))
    figures: dict[str, Any] = {"images": len(images), "tokens": patches.shape[0] * patches.shape[1]}
    if theirs:
        compare = _classes if net.output_kind == "classes" else _states
        figures |= compare(np.concatenate(ours), np.concatenate(theirs).astype(np.float64))
    return figures | seconds


def _classes(ours: NDArray[np.float64], true: NDArray[np.float64]) -> dict[str, float]:
    """Share of equal first choices, and mean KL(model || netlist); scores are [N, labels]."""
    mine, theirs = (x - np.logaddexp.reduce(x, axis=1, keepdims=True) for x in (ours, true))
    return {
        "top1_agreement": float((ours.argmax(1) == true.argmax(1)).mean()),
        "mean_kl": float((np.exp(theirs) * (theirs - mine)).sum(1).mean()),
    }


def _states(ours: NDArray[np.float64], true: NDArray[np.float64]) -> dict[str, float]:
    """1 - cosine of the two states [N, D], averaged."""
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(true, axis=1)
    cosine = (ours * true).sum(1) / np.maximum(lengths, np.finfo(np.float64).tiny)
    return {"mean_cosine_error": float((1 - cosine).mean())}

"""continuation: compare a netlist's continuation with the float model's or another backend's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from compiler.netlist.model import Netlist
from hwsim.generate import Generation, continued_text
from hwsim.measure.evaluate import Reference
from hwsim.measure.first_spike import spikes_beside

CHECKED = ("tokens", "spikes", "difference")


def greedy(
    net: Netlist, reference: Reference, generation: Generation, count: int
) -> dict[str, Any]:
    """The float model's greedy continuation, and the first token that differs from the netlist's.

    count: most tokens of the continuation.
    """
    ends = net.provenance.get("end_tokens", ())
    ids = list(generation.prompt)
    while len(ids) - len(generation.prompt) < count and len(ids) <= net.context:
        token = int(reference(np.array([ids], np.int64))[0, -1].argmax())
        if token in ends:
            break
        ids.append(token)
    new = ids[len(generation.prompt) :]
    return {
        "tokens": new,
        "text": continued_text(net, generation.prompt, new),
        "first_difference": first_difference(generation.tokens, new),
    }


def first_difference(one: Sequence[int], two: Sequence[int]) -> int | None:
    """The first index at which two lists differ; None if they are equal."""
    for place, (a, b) in enumerate(zip(one, two, strict=False)):
        if a != b:
            return place
    return None if len(one) == len(two) else min(len(one), len(two))


def check(
    net: Netlist, backends: tuple[str, str], generation: Generation, most: int, timeout: float
) -> dict[str, Any]:
    """Compare every spike of the first `most` tokens between two backends."""
    tokens = [*generation.prompt, *generation.tokens][: net.context][:most]
    prompt = len(generation.prompt)
    feeds = [tokens[:prompt], *([token] for token in tokens[prompt:])]
    spikes = spikes_beside((net, net), backends, feeds, timeout)
    return {"backends": list(backends)} | {key: spikes[key] for key in CHECKED}

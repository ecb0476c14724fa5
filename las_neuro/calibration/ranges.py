"""Measure the range of every value of a graph on sample tokens or patches, one batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from las_neuro.errors import CheckpointError
from las_neuro.graph import SLOTS, Floats, Graph, Node, Range
from las_neuro.progress import Progress, silent
from las_neuro.rows import Rows

# |x| is counted in bins of 1/64 octave, which the float32's bits give: exponent, 6 of mantissa.
DROPPED_BITS = 17
FIRST_BIN = (127 - 32) << 6  # 2**-32; smaller values count as 2**-32
BINS = 64 << 6  # up to 2**32

SAMPLE_TOKENS = 256  # whose values are sampled at encoders and memories;
SAMPLE_BYTES = 1 << 30  # fewer if all these values would take more


@dataclass
class Measure:
    """Running ranges of one value."""

    peak: float = 0.0
    least: float = float("inf")
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    channel_peak: Floats | None = None
    sample: list[Floats] = field(default_factory=list)

    def include(self, value: Floats, by_channel: bool) -> None:
        """Add value [B, S, *axes], without -inf (masked scores)."""
        for sequence in value:  # one at a time: counting needs several times its memory
            size = np.abs(sequence)
            if by_channel:
                peaks = size.reshape(len(sequence), -1).max(axis=0)
                before = self.channel_peak
                self.channel_peak = peaks if before is None else np.maximum(before, peaks)
            self._count(size[np.isfinite(size)])

    def _count(self, size: Floats) -> None:
        self.peak = max(self.peak, float(size.max()))
        self.least = min(self.least, float(size.min()))
        bins = (size.view(np.uint32) >> DROPPED_BITS).astype(np.int64) - FIRST_BIN
        self.counts += np.bincount(np.clip(bins, 0, BINS - 1), minlength=BINS)

    def quantile(self, share: float) -> float:
        """The upper edge of the bin that holds the quantile: at most 1.6 % above it."""
        place = int(np.searchsorted(np.cumsum(self.counts), share * self.counts.sum()))
        if place == 0:
            return 0.0
        edge = np.array([place + 1 + FIRST_BIN], np.uint32) << DROPPED_BITS
        return min(self.peak, float(edge.view(np.float32)[0]))

    def range(self) -> Range:
        sample = np.concatenate(self.sample) if self.sample else None
        return Range(self.peak, self.quantile(0.999), self.least, self.channel_peak, sample)


def calibrate(
    graph: Graph,
    batches: Sequence[Rows],
    progress: Progress = silent,
) -> Graph:
    """The graph with a `Range` on every node.

    Encoders, what they read and squares also get the peak of each channel, the axes flattened, and
    encoders and memories a sample of values; softmax weights do not: their channels are tokens.
    Raises `CheckpointError` if the model's own values are not finite.
    """
    from las_neuro.reference.interpret import interpret  # torch is slow to import

    measures: dict[str, Measure] = {node.name: Measure() for node in graph}
    encoders = [node for node in graph if node.op == "encode" and SLOTS not in node.axes]
    by_channel = _by_channel(graph, encoders)
    sampled = {node.name for node in encoders}
    sampled |= {node.name for node in graph if node.op == "memory"}
    tokens_of = _sample_tokens(sum(_width(graph, name) for name in sampled), batches)
    for done, tokens in enumerate(batches):
        progress("calibrate", done, len(batches))
        for node, value in interpret(graph, tokens):
            _check_finite(node, value.numpy())
            measures[node.name].include(value.numpy(), node.name in by_channel)
            if node.name in sampled:
                rows = value.numpy().reshape(tokens.shape[0] * tokens.shape[1], -1)
                measures[node.name].sample.append(rows[tokens_of[done]])
    progress("calibrate", len(batches), len(batches))
    return graph.with_ranges({name: measure.range() for name, measure in measures.items()})


def _check_finite(node: Node, value: Floats) -> None:
    """Raise `CheckpointError` at NaN or +inf; -inf is a masked score."""
    if not value.max() < np.inf:  # NaN is not below it either
        raise CheckpointError(
            f"{node.name}: its values on the calibration text are not finite",
            "use a checkpoint whose training did not diverge",
        )


def _by_channel(graph: Graph, encoders: Sequence[Node]) -> set[str]:
    squares = {node.name for node in graph if node.op == "square"}
    return squares | {name for node in encoders for name in (node.name, *node.inputs)}


def _width(graph: Graph, name: str) -> int:
    """Values per token; a memory stores its input."""
    node = graph[name]
    return graph[node.inputs[0]].size if node.op == "memory" else node.size


def _sample_tokens(width: int, batches: Sequence[Rows]) -> list[NDArray[np.int64]]:
    """The tokens of each batch [B * S] to sample, `width` values each: random, not every i-th."""
    starts = np.cumsum([0, *(batch.shape[0] * batch.shape[1] for batch in batches)])
    most = SAMPLE_BYTES // (4 * width or 1)
    count = max(1, min(SAMPLE_TOKENS, most, int(starts[-1])))
    picks = np.sort(np.random.default_rng(0).choice(starts[-1], count, replace=False))
    cuts = np.searchsorted(picks, starts)
    return [picks[cuts[i] : cuts[i + 1]] - starts[i] for i in range(len(batches))]

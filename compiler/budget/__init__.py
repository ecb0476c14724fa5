"""budget: the cheapest code lengths, weight planes and function tables within an error budget.

The error is that of the output on calibration text (las_neuro.reference.rounded): mean KL from the
float model in nats per token; for hidden states 1 - cosine of a sequence's mean.

First every encoder, every linear map and every layer's functions are rounded alone, and the
output's error is measured (`measure`).  Errors of small independent roundings add, and an encoder's
error falls by a factor of 4 with every digit, which predicts the error of any choice.  Then,
starting from the cheapest choice, the increment that lowers the error most per additional synaptic
event is taken until the prediction is within the budget (`choose`).  Finally the whole choice is
rounded and measured; where it exceeds the budget or leaves much of it unused, the target for the
prediction is lowered or raised and the choice is made again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compiler.budget.choose import Choice, Levels, choose, explain, with_levels
from compiler.budget.measure import measure_alone, probe_batches
from compiler.weights.round_weights import round_layers
from las_neuro.errors import CalibrationError
from las_neuro.graph import Graph
from las_neuro.progress import Progress
from las_neuro.rows import Rows

if TYPE_CHECKING:
    from las_neuro.reference.rounded import Rounding

__all__ = ["Choice", "Precision", "keep_budget"]

Threshold = Callable[[Graph, int], Graph]  # sets codes; the digits of encoders that have none

ATTEMPTS = 6
NEAR = 0.7  # share of the budget that must be used to stop
AIM = 0.85  # share of the budget to aim at after a wrong prediction
STRIDE = 8.0  # largest factor between the targets of two attempts


@dataclass(frozen=True)
class Precision:
    """A graph within the budget, with rounded weights and codes, and its measured error."""

    graph: Graph
    budget: float
    measured: float
    choices: list[Choice]

    def record(self) -> dict[str, Any]:
        """Plain values for the netlist's provenance."""
        choices = [vars(choice) for choice in self.choices]
        return {"budget": self.budget, "measured": self.measured, "choices": choices}


def keep_budget(
    graph: Graph,
    batches: Sequence[Rows],
    budget: float,
    most_digits: int,
    threshold: Threshold,
    progress: Progress,
) -> Precision:
    """Choose, round and measure until the error is within the budget.

    batches: calibration tokens [B, S].  budget: largest error of the output.  most_digits: of an
    encoder.  Raises `CalibrationError` where even the finest choice exceeds the budget.
    """
    from las_neuro.reference.rounded import Probe

    probe = Probe(graph, probe_batches(batches))
    alone = measure_alone(graph, probe, threshold, progress)
    target, least, result = budget, float("inf"), None
    attempts: list[Levels] = []
    for attempt in range(ATTEMPTS):
        levels = choose(graph, alone, target, most_digits)
        if levels in attempts:
            break
        attempts.append(levels)
        candidate = with_levels(graph, levels, alone, target)
        candidate = threshold(round_layers(candidate, batches), most_digits)
        error = probe.error(_rounding(candidate))
        least = min(least, error)
        progress("keep the budget", attempt + 1, ATTEMPTS)
        if error <= budget and (result is None or error > result.measured):
            result = Precision(candidate, budget, error, explain(graph, levels, alone))
        if NEAR * budget <= error <= budget:
            break
        target *= min(max(AIM * budget / error, 1 / STRIDE), STRIDE)
    progress("keep the budget", ATTEMPTS, ATTEMPTS)
    if result is not None:
        return result
    raise CalibrationError(
        f"no choice of at most {most_digits} digits and 2 planes keeps the output's error under "
        f"{budget:.3g}; the finest tried gives {least:.3g}",
        f"allow more than {least:.2g}, or more digits (--steps 20)",
    )


def _rounding(graph: Graph) -> Rounding:
    """All roundings of a graph: codes, weights and imported tables."""
    from las_neuro.reference.rounded import Rounding, rounded_weights

    codes = {node.name: node["code"] for node in graph if node.op == "encode"}
    weights: dict[str, Mapping[str, Any]] = {}
    for node in graph:
        if node.op == "linear":
            rounded, spread = node["rounded"], graph[node.inputs[0]]["spread"]
            value = rounded.value() if spread is None else rounded.value() / spread
            weights[node.name] = rounded_weights(node, value, rounded.bias)
    functions = [node for node in graph if node.op == "function"]
    tables = {node.name: node["few_spikes"] for node in functions if node["few_spikes"]}
    return Rounding(codes, weights, tables=tables)

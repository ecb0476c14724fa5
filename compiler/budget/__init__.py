"""budget: the cheapest code lengths, weight planes and function tables that keep an error budget.

The error is that of the output on calibration text (las_neuro.reference.rounded): mean KL from the
float model in nats a token; for hidden states 1 - cosine of a sequence's mean.

Every encoder, every linear map and every layer's functions are rounded alone and the output's error
measured (`measure`).  Errors of independent small roundings add up, and an encoder's falls by 4
with every digit: that predicts any choice.  From the cheapest on, the step that lowers the error
most for its synaptic events is taken until the prediction keeps the budget (`choose`).  Then all of
it is rounded and measured together, and where that breaks the budget, or leaves much of it, the
prediction is held to less, or more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compiler.budget.choose import Choice, Levels, choose, explain, give
from compiler.budget.measure import few, measure_alone
from compiler.weights.round_weights import round_layers
from las_neuro.errors import CalibrationError
from las_neuro.graph import Graph
from las_neuro.progress import Progress
from las_neuro.rows import Rows

if TYPE_CHECKING:
    from las_neuro.reference.rounded import Rounding

__all__ = ["Choice", "Chosen", "keep_budget"]

Threshold = Callable[[Graph, int], Graph]  # a graph, the digits of encoders that have none

ATTEMPTS = 6
NEAR = 0.7  # of the budget used: near enough
AIM = 0.85  # of the budget, when the prediction was off
STRIDE = 8.0  # most by which one attempt's target differs from the last


@dataclass(frozen=True)
class Chosen:
    """A graph that keeps the budget, its weights rounded and its codes set."""

    graph: Graph
    budget: float
    measured: float
    choices: list[Choice]

    def record(self) -> dict[str, Any]:
        """Plain values for the netlist's provenance."""
        listed = [vars(choice) for choice in self.choices]
        return {"budget": self.budget, "measured": self.measured, "choices": listed}


def keep_budget(
    graph: Graph,
    batches: Sequence[Rows],
    budget: float,
    most_digits: int,
    threshold: Threshold,
    progress: Progress,
) -> Chosen:
    """Choose, round and measure; `CalibrationError` where even the finest breaks the budget."""
    from las_neuro.reference.rounded import Probe

    probe = Probe(graph, few(batches))
    alone = measure_alone(graph, probe, threshold, progress)
    target, best, kept = budget, float("inf"), None
    tried: list[Levels] = []
    for attempt in range(ATTEMPTS):
        levels = choose(graph, alone, target, most_digits)
        if levels in tried:
            break
        tried.append(levels)
        given = give(graph, levels, alone, target)
        rounded = threshold(round_layers(given, batches), most_digits)
        measured = probe.error(_rounding(rounded))
        best = min(best, measured)
        progress("keep the budget", attempt + 1, ATTEMPTS)
        if measured <= budget and (kept is None or measured > kept.measured):
            kept = Chosen(rounded, budget, measured, explain(graph, levels, alone))
        if NEAR * budget <= measured <= budget:
            break
        target *= min(max(AIM * budget / measured, 1 / STRIDE), STRIDE)
    progress("keep the budget", ATTEMPTS, ATTEMPTS)
    if kept is not None:
        return kept
    raise CalibrationError(
        f"no choice of at most {most_digits} digits and 2 planes keeps the output's error under "
        f"{budget:.3g}; the finest tried gives {best:.3g}",
        f"allow more than {best:.2g}, or more digits (--steps 20)",
    )


def _rounding(graph: Graph) -> Rounding:
    """Everything that the chosen graph rounds."""
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

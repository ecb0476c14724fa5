"""plan: what a model would need of a target, from shapes only: cores, memory, steps, latency.

No weights are read, so a model of any size is planned in seconds.  Counts are those that
`partition` would give.  The latency (latency.py) assumes expected firing rates, and that the
largest tile of a population and the largest block of a linear map are each alone on a core, since
there is no placement yet.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.table import Table

from compiler.lowering.network import LoweredNetwork
from compiler.mapping import limits
from compiler.mapping.latency import Latency
from compiler.mapping.partition import Layout, count, layout, summary
from compiler.mapping.size import LayerSize, Size
from compiler.mapping.spread import expected, spread
from compiler.netlist.model import Dense, Network, Synapses
from compiler.targets.target import Target, automatic, load

NARROW_BITS = 4  # bits of the narrower weights in advice


@dataclass(frozen=True)
class AfterCalibration:
    """Upper bounds of what the compiled netlist may have in addition to its plan.

    Ranges, which a plan does not know, decide which terms of a sum are rescaled to one unit, and
    which norms have outlier channels that are squared and summed separately.
    """

    populations: int
    compartments: int
    steps: int


@dataclass(frozen=True)
class Plan:
    """What a netlist needs of one target."""

    target: str
    title: str
    cores: int
    busy_cores: int  # over which the compiler spreads it, so that steps are shorter
    chips: int
    systems: int
    weights: int
    weight_bits: int  # of the widest
    weight_widths: dict[int, int]  # bits of a weight -> how many have them
    weight_cores: int  # the least that the weights' bytes need
    written_cores: int  # taken by written synapses (keys, values, waiting streams) and their sums
    synapse_bytes: int
    state_bytes: int
    compartments: int
    written: int  # numbers that written synapses hold
    partial_sums: int
    latency: Latency | None  # None: the netlist has no schedule yet
    worst_layer: int
    layers: tuple[LayerSize, ...]
    fits: bool
    refused: str  # why the target cannot run the net whatever its size; empty if it can
    problem: str  # what does not fit; empty if all fits
    advice: str  # what would fit
    after_calibration: AfterCalibration | None  # None: the ranges are known already

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        values = asdict(self)
        if self.latency is not None:
            values["latency"]["total_us"] = self.latency.total_us
        return values


def plan(net: Network[Any], target_name: str = "auto") -> Plan:
    """The plan for a named target; for "auto", for the smallest that fits, or else the largest."""
    systems = automatic()
    target = load(systems[-1] if target_name == "auto" else target_name)
    cores = layout(net, target)
    size = summary(net, cores, target.name)
    if target_name == "auto":
        target = load(next((n for n in systems if size.cores <= load(n).cores), systems[-1]))
    refused = limits.refusal(net, target)
    fits = size.cores <= target.cores and not refused
    problem, help_text = "", ""
    if size.cores > target.cores:
        problem = limits.too_small(size, target)
        help_text = limits.advice(size, target, count(narrowed(net), target))
    return _plan(net, target, size, cores, (fits, refused, problem, help_text))


def narrowed(net: Network[Any]) -> Network[Any]:
    """The same net with weights of at most NARROW_BITS bits, to count what it would need."""
    return replace(net, synapses=[_narrowed(group) for group in net.synapses])


def _narrowed(group: Synapses) -> Synapses:
    if not isinstance(group.form, Dense):
        return group
    return replace(group, form=replace(group.form, bits=min(group.form.bits, NARROW_BITS)))


def _plan(
    net: Network[Any],
    target: Target,
    size: Size,
    cores: Layout,
    verdict: tuple[bool, str, str, str],
) -> Plan:
    fits, refused, problem, help_text = verdict
    busy = spread(net, target, cores) if net.period and fits else cores
    worst = max(size.layers, key=lambda layer: layer.cores, default=LayerSize(-1))
    return Plan(
        target=target.name,
        title=target.title,
        cores=size.cores,
        busy_cores=busy.cores,
        chips=-(-size.cores // int(target.system.cores_per_chip)),
        systems=-(-size.cores // target.cores),
        weights=size.weights,
        weight_bits=size.weight_bits,
        weight_widths=size.widths,
        weight_cores=size.weight_cores,
        written_cores=size.written_cores,
        synapse_bytes=size.synapse_bytes,
        state_bytes=size.state_bytes,
        compartments=size.compartments,
        written=size.written,
        partial_sums=size.partial_sums,
        latency=expected(net, busy, target) if net.period else None,
        worst_layer=worst.layer,
        layers=tuple(size.layers),
        fits=fits,
        refused=refused,
        problem=problem,
        advice=help_text,
        after_calibration=_after_calibration(net),
    )


def _after_calibration(net: Network[Any]) -> AfterCalibration | None:
    if not isinstance(net, LoweredNetwork):
        return None
    more = net.additions
    return AfterCalibration(
        sum(one.populations for one in more), sum(one.compartments for one in more), len(more)
    )


def render(plan: Plan) -> Table:
    """The plan as one table of named facts."""
    table = Table(title=f"{plan.title} ({plan.target})", show_header=False)
    table.add_column("what", no_wrap=True)
    table.add_column("value")
    for what, value in _facts(plan):
        table.add_row(what, value)
    return table


def _facts(plan: Plan) -> list[tuple[str, str]]:
    verdict = "yes" if plan.fits else "no"
    facts = [
        ("fits", verdict),
        ("cores", f"{plan.cores:,} ({plan.chips:,} chips, {plan.systems:,} systems)"),
        ("cores in use", f"{plan.busy_cores:,}, idle cores of the same chips included"),
        ("cores for weights", f"at least {plan.weight_cores:,}, by bytes alone"),
        ("cores for attention", f"{plan.written_cores:,} (keys, values, waiting streams)"),
        ("weights", ", ".join(f"{n:,} of {b} bits" for b, n in plan.weight_widths.items())),
        ("synapse memory", f"{plan.synapse_bytes / 1e6:,.1f} MB"),
        ("neuron state", f"{plan.state_bytes / 1e6:,.1f} MB"),
        ("compartments", f"{plan.compartments:,}"),
        ("written numbers", f"{plan.written:,}"),
        ("partial sums", f"{plan.partial_sums:,} compartments more"),
        ("worst layer", f"{plan.worst_layer}"),
    ]
    if plan.after_calibration is not None:
        more = plan.after_calibration
        facts.append(
            (
                "after calibration",
                f"at most {more.populations:,} populations, {more.compartments:,} compartments and "
                f"{more.steps:,} steps more: sums rescale terms of unlike ranges, norms sum "
                "outlier channels separately",
            )
        )
    if plan.latency is not None:
        of = plan.latency
        facts.append(
            ("steps per token", f"{of.steps:,} + {of.partial_sum_steps:,} for partial sums")
        )
        facts.append(("latency per token", f"{of.total_us:,.1f} us ({of.basis})"))
        parts = (
            f"barrier {of.barrier_us:,.1f}, synaptic events {of.events_us:,.1f}, "
            f"updates {of.updates_us:,.1f}, partial sums {of.partial_sums_us:,.1f} us"
        )
        facts.append(("  of that", parts))
    for what in ("refused", "problem", "advice"):
        if getattr(plan, what):
            facts.append((what, getattr(plan, what)))
    return facts

"""The costs of a run, from its counts: `audit` runs nothing and rounds nothing.

Every figure has one of three labels:
    measured   counted during the run: spikes, events, clamps, wraps, messages, hops
    exact      follows from the netlist and the number of tokens: updates, memory, steps, MACs
    estimate   a count times a coefficient that was not measured on this chip: joules, seconds
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compiler.netlist.model import Netlist, Placement
from compiler.targets import Target
from compiler.targets import load as load_target
from hwsim.accounts.comparison import AnnComparison, compare
from hwsim.accounts.latency import StepTime, TokenTime, estimate, fixed, measured
from hwsim.accounts.memory import Memory, measure
from hwsim.accounts.tally import Tally, by_population, grouped, layer_name, total
from hwsim.accounts.traffic import Traffic
from hwsim.backends.counters import Counters
from hwsim.energy import Bill, Profile, bill, builtin, load
from las_neuro.errors import PromptError, TargetError

LABELS = {
    "spikes": "measured",
    "events": "measured",
    "troubles": "measured",
    "traffic": "measured",
    "updates": "exact",
    "memory": "exact",
    "schedule": "exact",
    "placement": "exact",
    "host": "exact",
    "macs": "exact",
    "latency": "estimate",
    "energy": "estimate",
}


@dataclass(frozen=True)
class Schedule:
    """Time steps of one token, and their latency."""

    steps: int
    phases: tuple[tuple[int, int], ...]  # (first step, one past the last)
    latency: TokenTime | None
    slowest: TokenTime | None = None  # at measured rates, where `latency` is at peak rates


@dataclass(frozen=True)
class Site:
    """Target of the placement, and the cores and chips it uses."""

    target: str
    cores: int
    chips: int


@dataclass(frozen=True)
class Host:
    """Work of the host computer over the whole run."""

    lookups: int  # rows fetched from embedding tables
    values_in: int  # numbers sent to the chip
    values_out: int  # numbers read from the chip
    output: str  # "logits", "hidden" or "classes"


@dataclass(frozen=True)
class Audit:
    """The account of one run.  Counts are totals over `tokens` tokens."""

    title: str
    tokens: int
    sequences: int
    total: Tally
    layers: tuple[Tally, ...]
    kinds: tuple[Tally, ...]
    populations: tuple[Tally, ...]
    custom_kinds: tuple[str, ...]  # kinds that no built-in Lava process equals
    memory: Memory
    schedule: Schedule
    site: Site | None
    traffic: dict[str, int] | None
    energy: tuple[Bill, ...]
    comparison: AnnComparison
    host: Host
    provenance: dict[str, Any]

    @property
    def troubles(self) -> tuple[Tally, ...]:
        """Every population with clamps or wraps, worst first."""
        rows = (row for row in self.populations if row.clamps or row.wraps)
        return tuple(sorted(rows, key=lambda row: (-row.wraps, -row.clamps, row.name)))

    def per_token(self, amount: float) -> float:
        return amount / self.tokens

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain JSON values, derived ones included."""
        record = asdict(self)
        for rows in (record["layers"], record["kinds"], record["populations"], [record["total"]]):
            for row in rows:
                row["synaptic_event"] = row["event_add"] + row["event_multiply"]
                places = row["compartments"] * self.tokens
                row["firing_rate"] = row["spikes"] / places if places else 0.0
        for entry, one in zip(record["energy"], self.energy, strict=True):
            entry["joules"], entry["joules_per_token"] = one.joules, self.per_token(one.joules)
        for entry, ratio in zip(
            record["comparison"]["ratios"], self.comparison.ratios, strict=True
        ):
            for name in ("paper", "active", "full"):
                entry[name] = getattr(ratio, name) if ratio.ann_joules else None
        record["comparison"]["spikes_per_input"] = self.comparison.spikes_per_input
        record["memory"]["total_bytes"] = self.memory.total_bytes
        troubles = [(row.name, row.clamps, row.wraps) for row in self.troubles]
        record["troubles"] = [
            {"population": name, "clamps": clamps, "wraps": wraps}
            for name, clamps, wraps in troubles
        ]
        record["labels"] = dict(LABELS)
        return record


def audit(
    net: Netlist,
    counters: Counters,
    traffic: Traffic | None = None,
    profiles: Sequence[str | Path | Profile] | None = None,
    *,
    step_time: StepTime | None = None,
    lengths: Sequence[int] | None = None,
    title: str = "",
) -> Audit:
    """The account of one run.

    traffic: from `hwsim.accounts.traffic.hops`; without it the energy of the mesh is missing from
    the bills, which list it as uncounted.
    profiles: energy profiles, their names or files; None: all built-in ones.
    step_time: replaces the latency estimated from the target's rates; a netlist that is not placed
    has no latency and no static energy without it.
    lengths: tokens of each sequence, for the ANN's attention; None: equal lengths are assumed, and
    the figure is an estimate.
    Raises PromptError where no token was run, ConfigError for a faulty profile.
    """
    if counters.tokens == 0:
        raise PromptError(
            "nothing was run, so there is nothing to audit", "give at least one token"
        )
    rows = by_population(net, counters)
    everything = total("all", rows)
    slowest = None if step_time else _slowest(net)
    schedule = Schedule(net.period, net.phases, _latency(net, counters, step_time), slowest)
    placement = net.placement
    site = None
    if placement is not None:
        site = Site(placement.target, placement.cores, placement.chips)
    messages = None if traffic is None else _record(traffic)
    names = builtin() if profiles is None else profiles
    counts, chip_seconds = _counts(everything, messages), _chip_seconds(schedule, site, counters)
    bills = [
        (profile, bill(profile, counts, chip_seconds))
        for profile in (p if isinstance(p, Profile) else load(p) for p in names)
    ]
    kinds = {population.kind: population.does for population in net.populations.values()}
    return Audit(
        title or f"{net.family}, {counters.tokens} tokens",
        counters.tokens,
        counters.sequences,
        everything,
        tuple(sorted(grouped(net, rows, layer_name), key=_layer_order)),
        tuple(grouped(net, rows, lambda population: population.kind)),
        tuple(rows),
        tuple(sorted(name for name, kind in kinds.items() if kind.lava is None)),
        measure(net),
        schedule,
        site,
        messages,
        tuple(one for _, one in bills),
        compare(net, counters, lengths, bills, everything.synaptic_event),
        _host(net, counters),
        dict(net.provenance),
    )


def _layer_order(row: Tally) -> int:
    """Key that sorts layers by number, and rows outside the layers last."""
    number = row.name.removeprefix("layer ")
    return int(number) if number.isdecimal() else 1 << 30


def _latency(net: Netlist, counters: Counters, step_time: StepTime | None) -> TokenTime | None:
    """From the measured step time, or else the target's rates.

    None where neither is known: the netlist is not placed, or its target is not installed.
    """
    if step_time is not None:
        return fixed(net, step_time)
    target = _target(net.placement)
    if net.placement is None or target is None:
        return None
    return estimate(net, counters, net.placement, target)


def _slowest(net: Netlist) -> TokenTime | None:
    """At rates measured on boards; None where nobody has measured the target."""
    target = _target(net.placement)
    if net.placement is None or target is None:
        return None
    return measured(net, net.placement, target)


def _target(placement: Placement | None) -> Target | None:
    """The target of a placement; None where there is no placement, or its target is unknown."""
    try:
        return None if placement is None else load_target(placement.target)
    except TargetError:
        return None


def _record(traffic: Traffic) -> dict[str, int]:
    """Messages of spikes and of partial sums, and the hops of both together."""
    spikes, sums = traffic.spikes, traffic.partial_sums
    return {
        "spike_messages": spikes.messages,
        "spike_messages_within_a_core": spikes.local,
        "partial_sum_messages": sums.messages,
        "hops_east_west": spikes.east_west + sums.east_west,
        "hops_north_south": spikes.north_south + sums.north_south,
        "chip_crossings": spikes.crossings + sums.crossings,
    }


def _counts(row: Tally, messages: dict[str, int] | None) -> dict[str, int]:
    """All counts by the names that profiles price."""
    counts = row.counts()
    if messages is not None:
        counts["message"] = messages["spike_messages"] + messages["partial_sum_messages"]
        counts["hop_east_west"] = messages["hops_east_west"]
        counts["hop_north_south"] = messages["hops_north_south"]
        counts["chip_crossing"] = messages["chip_crossings"]
    return counts


def _chip_seconds(schedule: Schedule, site: Site | None, counters: Counters) -> float | None:
    """Chips x seconds of the whole run."""
    if schedule.latency is None or site is None:
        return None
    return site.chips * schedule.latency.seconds * counters.tokens


def _host(net: Netlist, counters: Counters) -> Host:
    values = sum(net.populations[table.population].n for table in net.tables)
    return Host(
        lookups=sum(table.source != "patch" for table in net.tables) * counters.tokens,
        values_in=values * counters.tokens,
        values_out=net.populations[net.output].n * counters.tokens,
        output=net.output_kind,
    )

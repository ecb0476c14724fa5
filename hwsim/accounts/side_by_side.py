"""side_by_side: errors and costs of several netlists of one model on one text.

Errors are measured on the whole text, costs counted in a run over its first tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwsim.accounts import wording
from hwsim.accounts.audit import Audit


@dataclass(frozen=True)
class Candidate:
    """One netlist: the options it was compiled with, its figures and its account.

    `figures` are those of `hwsim.measure.evaluate`, with a reference.
    """

    netlist: str
    options: Mapping[str, Any]
    figures: Mapping[str, Any]
    audit: Audit

    @property
    def system(self) -> str:
        """The system, its code and steps, and all options that differ from their defaults."""
        return described(self.options)

    @property
    def error(self) -> float:
        """Error of the output: mean KL in nats per token; for encoders the mean of 1 - cosine."""
        error: float = self.figures.get("mean_kl", self.figures.get("mean_cosine_error"))
        return error

    @property
    def rise(self) -> float:
        """Relative rise of the perplexity over the float model's."""
        rise: float = self.figures["perplexity"] / self.figures["reference_perplexity"] - 1
        return rise

    @property
    def events(self) -> float:
        """Synaptic events (SynOps) per token."""
        return self.audit.per_token(self.audit.total.synaptic_event)

    @property
    def cores(self) -> int | None:
        return self.audit.site.cores if self.audit.site else None

    @property
    def faults(self) -> int:
        """Clamps and wraps of the counted run."""
        return self.audit.total.clamps + self.audit.total.wraps

    def to_dict(self) -> dict[str, Any]:
        """The row as plain JSON values; unknown ones are None."""
        ratios = {
            ratio.profile: {
                name: getattr(ratio, name) if ratio.ann_joules else None
                for name in ("paper", "active", "full")
            }
            for ratio in self.audit.comparison.ratios
        }
        total = self.audit.total
        rise = {"perplexity_rise": self.rise} if "perplexity" in self.figures else {}
        return {
            "netlist": self.netlist,
            "system": self.system,
            "options": dict(self.options),
            **self.figures,
            **rise,
            "spikes_per_input": self.audit.comparison.spikes_per_input,
            "synaptic_events_per_token": self.events,
            "energy_ratios": ratios,
            "steps_per_token": self.audit.schedule.steps,
            "cores": self.cores,
            "clamps": total.clamps,
            "wraps": total.wraps,
        }


@dataclass(frozen=True)
class SideBySide:
    """The netlists of one comparison, in the order in which the user named them."""

    text: str
    rows: tuple[Candidate, ...]

    @property
    def scored(self) -> bool:
        """Whether the netlists give logits, and so a perplexity."""
        return "mean_kl" in self.rows[0].figures

    @property
    def measure(self) -> str:
        """Name of the measure that `Candidate.error` gives."""
        return "mean KL (nats / token)" if self.scored else "mean 1 - cosine"

    @property
    def tokens(self) -> int:
        """Tokens on which errors were measured."""
        tokens: int = self.rows[0].figures["tokens"]
        return tokens

    @property
    def counted(self) -> int:
        """Tokens of the counted run."""
        return self.rows[0].audit.tokens

    @property
    def front(self) -> set[int]:
        """Indices of the rows that no other row beats in both error and synaptic events."""
        return pareto([(row.events, row.error) for row in self.rows])

    @property
    def labels(self) -> list[str]:
        """Label of each row in a figure: its system; also the file's name if systems are equal."""
        systems = [row.system for row in self.rows]
        return [
            row.system if systems.count(row.system) == 1 else f"{row.system} ({row.netlist})"
            for row in self.rows
        ]

    def to_dict(self) -> dict[str, Any]:
        front = self.front
        rows = [row.to_dict() | {"pareto": i in front} for i, row in enumerate(self.rows)]
        return {
            "text": self.text,
            "tokens": self.tokens,
            "counted_tokens": self.counted,
            "netlists": rows,
        }


def pareto(points: Sequence[tuple[float, float]]) -> set[int]:
    """Indices of the Pareto-optimal points: no other is as small in both and smaller in one.

    Equal points do not beat each other; points that are not finite are left out.
    """
    known = {i: point for i, point in enumerate(points) if all(map(math.isfinite, point))}
    return {
        i
        for i, (x, y) in known.items()
        if not any(a <= x and b <= y and (a, b) != (x, y) for a, b in known.values())
    }


def described(options: Mapping[str, Any]) -> str:
    """A compilation's options in a few words, from the netlist's provenance."""
    if "system" not in options:
        return "of unknown options"
    words = [str(options["system"])]
    own = options.get("system_options")
    if isinstance(own, Mapping):
        words += [f"{name}={value}" for name, value in own.items()]
    if options["system"] == "las":  # the only system with several codes
        words.append(str(options.get("code", "of an unknown code")))
    words.append(f"T={options.get('steps', '?')}")
    text = " ".join(words)
    if options.get("ranges") == 1:
        text += ", 1 range"
    if options.get("channel_steps"):
        text += ", steps by channel"
    if options.get("weight_planes") == 2:
        text += ", 2 planes"
    if options.get("error_budget") is not None:
        text += f", error budget {options['error_budget']}"
    return text


Column = tuple[str, Callable[[Candidate], str]]  # heading, and the text of a row's cell
NAMES: tuple[Column, ...] = (
    ("netlist", lambda row: row.netlist),
    ("system", lambda row: row.system),
)
OF_DECODERS: tuple[Column, ...] = (
    ("perplexity", lambda row: wording.precise(row.figures["perplexity"])),
    ("over fp32", lambda row: wording.change(row.rise)),
    ("top-1", lambda row: f"{100 * row.figures['top1_agreement']:.2f} %"),
    ("mean KL", lambda row: wording.error(row.error)),
)
OF_ENCODERS: tuple[Column, ...] = (
    ("1 - cosine", lambda row: wording.error(row.error)),
    (
        "similarity error",
        lambda row: wording.error(row.figures["max_similarity_error"]),
    ),
)
COSTS: tuple[Column, ...] = (
    ("spikes / input", lambda row: f"{row.audit.comparison.spikes_per_input:.2f}"),
    ("SynOps / token", lambda row: wording.count(row.events)),
    ("steps", lambda row: wording.count(row.audit.schedule.steps)),
    ("cores", lambda row: "–" if row.cores is None else wording.count(row.cores)),
    ("clamps + wraps", lambda row: wording.count(row.faults)),
)


def columns(comparison: SideBySide) -> tuple[tuple[Column, ...], tuple[Column, ...]]:
    """The columns of accuracy, and those of cost."""
    return (OF_DECODERS if comparison.scored else OF_ENCODERS), COSTS

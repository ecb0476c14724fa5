"""contents: the contents of a netlist file in counts, for `las-inspect`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compiler.netlist.model import Dense, Gather, Netlist, Population, Synapses
from hwsim.accounts.memory import file_bytes


def contents(net: Netlist, version: int, size: int) -> dict[str, Any]:
    """All that `las-inspect` shows, as plain values; version and size (bytes) are the file's."""
    populations = list(net.populations.values())
    placement = net.placement
    return {
        "format": {"name": "las_neuro netlist", "version": version, "bytes": size},
        "model": {
            "family": net.family,
            "causal": net.causal,
            "context": net.context,
            "vocabulary": net.vocabulary,
            "output": net.output,
            "output_kind": net.output_kind,
            "tokenizer_bytes": len((net.tokenizer or "").encode()),
        },
        "placement": placement
        and {
            "target": placement.target,
            "cores": placement.cores,
            "chips": placement.chips,
            "tiles": len(placement.tiles),
            "blocks": len(placement.blocks),
        },
        "schedule": {"steps_per_token": net.period, "phases": [list(p) for p in net.phases]},
        "kinds": _rows(populations, lambda population: population.kind),
        "layers": _rows(populations, lambda population: population.layer),
        "synapses": _synapses(net),
        "memory": file_bytes(net),
        "provenance": net.provenance,
    }


def _rows(populations: list[Population], key: Callable[[Population], Any]) -> list[dict[str, Any]]:
    """Numbers of populations and compartments by key, sorted by key."""
    by_key: dict[Any, dict[str, Any]] = {}
    for population in populations:
        of = key(population)
        row = by_key.setdefault(of, {"of": of, "populations": 0, "compartments": 0, "lava": None})
        row["populations"] += 1
        row["compartments"] += population.n
        row["lava"] = population.does.lava
    return [by_key[of] for of in sorted(by_key)]


def _form(group: Synapses) -> str:
    if isinstance(group.form, Dense):
        return "dense" if group.form.bits == 8 else f"dense {group.form.bits}-bit"
    return "gather" if isinstance(group.form, Gather) else "pattern"


def _synapses(net: Netlist) -> list[dict[str, Any]]:
    by_key: dict[str, dict[str, Any]] = {}
    for group in net.synapses:
        form = _form(group)
        row = by_key.setdefault(form, {"of": form, "groups": 0, "synapses": 0})
        row["groups"] += 1
        row["synapses"] += int(net.fan_out(group).sum())
    return [by_key[form] for form in sorted(by_key)]

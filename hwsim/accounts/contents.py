"""contents: what a netlist file holds, in counts, for `las-inspect`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from compiler.netlist.model import Dense, Gather, Netlist, Population, Synapses
from compiler.netlist.packed import packed_shape


def contents(net: Netlist, version: int, size: int) -> dict[str, Any]:
    """Everything `las-inspect` shows, as plain values."""
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
        "memory": _memory(net),
        "provenance": net.provenance,
    }


def _rows(populations: list[Population], key: Callable[[Population], Any]) -> list[dict[str, Any]]:
    """Populations and compartments by key, keys in order."""
    found: dict[Any, dict[str, Any]] = {}
    for population in populations:
        of = key(population)
        row = found.setdefault(of, {"of": of, "populations": 0, "compartments": 0, "lava": None})
        row["populations"] += 1
        row["compartments"] += population.n
        row["lava"] = population.does.lava
    return [found[of] for of in sorted(found)]


def _form(group: Synapses) -> str:
    if isinstance(group.form, Dense):
        return "dense" if group.form.bits == 8 else f"dense {group.form.bits}-bit"
    return "gather" if isinstance(group.form, Gather) else "pattern"


def _synapses(net: Netlist) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for group in net.synapses:
        form = _form(group)
        row = found.setdefault(form, {"of": form, "groups": 0, "synapses": 0})
        row["groups"] += 1
        row["synapses"] += int(net.fan_out(group).sum())
    return [found[form] for form in sorted(found)]


def _memory(net: Netlist) -> dict[str, int]:
    """Bytes of what is written down, in the file's own widths; shared weights count once."""
    weights = 0
    for group in net.synapses:
        form = group.form
        if isinstance(form, Dense):
            weights += math.prod(packed_shape(form.weights.shape, form.bits))
        else:
            weights += len(form.weight) if isinstance(form, Gather) else 1
    states = sum(
        population.n * population.does.state_bits for population in net.populations.values()
    )
    tables = sum(4 * table.rows.shape[0] * table.rows.shape[1] for table in net.tables)
    return {"weight_bytes": weights, "state_bytes": -(-states // 8), "host_table_bytes": tables}

"""A network as text, one line per item with its name first, so that `diff` can compare networks.

Every array is written as its type, shape and digest: two dumps are equal if the networks are.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from compiler.netlist.model import (
    Dense,
    Gather,
    Netlist,
    Network,
    Pattern,
    Population,
    Synapses,
    Written,
)

DIGEST = 12  # hexadecimal digits of sha256


def text(net: Network[Any]) -> str:
    """Phases, populations, synapse groups and host tables in order; then the placement."""
    lines = [f"phase  {i}  steps {a}..{b - 1}" for i, (a, b) in enumerate(net.phases)]
    lines += [population_text(population) for population in net.populations.values()]
    lines += [_group(group) for group in net.synapses]
    lines += [
        f"table  {table.population}  {table.source}+{table.offset}  {array_text(table.rows)}"
        for table in net.tables
    ]
    if isinstance(net, Netlist) and net.placement is not None:
        lines += _placement(net)
    return "\n".join(lines) + "\n"


def array_text(array: Any) -> str:
    """Type, shape and digest of an array, loaded if necessary; only its shape in a plan."""
    try:
        values = array if isinstance(array, np.ndarray) else array.load()
    except ValueError:  # a plan has no weights
        return f"{list(array.shape)}"
    digest = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:DIGEST]
    return f"{values.dtype}{list(values.shape)} {digest}"


def value_text(value: Any) -> str:
    """A parameter or attribute as text; long ones as type, shape and digest."""
    if isinstance(value, np.ndarray):
        return f"{value.item()}" if value.size == 1 else array_text(value)
    if isinstance(value, tuple) and len(value) > DIGEST:
        return array_text(np.asarray(value))
    return f"{value}".replace(" ", "")


def population_text(population: Population) -> str:
    axes = " ".join(f"{axis}={size}" for axis, size in population.axes.items())
    params = " ".join(f"{key}={value_text(value)}" for key, value in population.params.items())
    steps = f"{population.steps[0]}..{population.steps[-1]}" if population.steps else "unscheduled"
    role = "" if population.role == "value" else f"  {population.role}"
    return (
        f"population  {population.name}  {population.kind}{role}  [{axes}] n={population.n}"
        f"  steps={steps} ({len(population.steps)})  unit={population.unit:.6g}  {params}"
    ).rstrip()


def _group(group: Synapses) -> str:
    form = group.form
    if isinstance(form, Dense):
        shape = f"dense {form.bits} bits {array_text(form.weights)}"
    elif isinstance(form, Pattern):
        shape = f"pattern {form}"
    elif isinstance(form, Written):
        axes = " ".join(form.axes)
        shape = f"written [{axes}] by {form.value} at {form.pointer}  limit={form.limit}"
    else:
        assert isinstance(form, Gather)
        shape = f"gather {array_text(form.index)} weights {array_text(form.weight)}"
    return f"synapses  {group.name}  {shape}{'  feedback' if group.feedback else ''}"


def _placement(net: Netlist) -> list[str]:
    """One line per tile or block."""
    placement = net.placement
    assert placement is not None
    lines = [f"cores  {placement.cores}  chips {placement.chips}  target {placement.target}"]
    for tile in placement.tiles:
        lines.append(f"tile  {tile.population}[{tile.start}:{tile.stop}]  core {tile.core}")
    for block in placement.blocks:
        rows, columns = (f"{first}:{stop}" for first, stop in (block.rows, block.cols))
        lines.append(
            f"block  {net.synapses[block.group].name}[{rows}, {columns}]  core {block.core}"
        )
    return lines

"""check: whether a netlist is consistent, as the file format, the pipeline and the engines require.

The stepper processes every spike in the step in which it arrives, the fast engine sums whole
windows.  Both give the same result because a spike only arrives at a step of its target, and a code
only where the shifts of the steps are those of its digits.  The first fault is raised; a check may
rely on the checks before it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise
from typing import Any

import numpy as np

from compiler.netlist.declaration import declaration
from compiler.netlist.faults import need
from compiler.netlist.model import (
    Dense,
    Form,
    Gather,
    InMemory,
    Netlist,
    Network,
    Pattern,
    Population,
    Synapses,
    Written,
)
from compiler.netlist.packed import within
from compiler.netlist.wiring import Wiring
from las_neuro.graph import SLOTS
from las_neuro.integers import WORD_LIMIT


def check(net: Netlist) -> None:
    """Raise NetlistError for the first inconsistency, naming the population or synapse group."""
    _whole(net)
    for name, population in net.populations.items():
        declaration(name, population)
        _steps(net, population)
    _ends(net)
    wiring = Wiring(net)
    for group in net.synapses:
        _form(wiring, group)
        _arrival(wiring, group)
    for population in net.populations.values():
        _ports(wiring, population)
        if population.does.check_wiring is not None:
            population.does.check_wiring(wiring, population)
    _host(net)
    _placement(net)


def _ends(net: Netlist) -> None:
    """Check that both ends of every group exist."""
    for group in net.synapses:
        for end in (group.source, group.target):
            need(end in net.populations, group.label, f"there is no population `{end:.80}`")
        port = net.populations[group.target].does.ports.get(group.port)
        need(port is not None and port.form != "host", group.label, "there is no such port")


def _whole(net: Netlist) -> None:
    starts = [0, *(stop for _, stop in net.phases)]
    for i, (first, stop) in enumerate(net.phases):
        need(first == starts[i] < stop, "netlist", f"phase {i} is {first}..{stop}")
    need(
        len(net.phases) == 1 if net.causal else net.phases,
        "netlist",
        f"{len(net.phases)} phases; a decoder has one, an encoder at least one",
    )
    need(
        net.context >= 1 and net.vocabulary >= (not _patched(net)),
        "netlist",
        f"context {net.context}, vocabulary {net.vocabulary}",
    )
    need(net.output in net.populations, "netlist", f"there is no output `{net.output:.80}`")
    output = net.populations[net.output]
    known = net.output_kind in ("logits", "hidden", "classes")
    need(known, "netlist", f"{net.output_kind:.80} is no output")
    need(
        net.output_kind != "logits" or output.n == net.vocabulary,
        output.label,
        f"{output.n} logits for a vocabulary of {net.vocabulary}",
    )
    ends = net.provenance.get("end_tokens", [])
    tokens = isinstance(ends, list) and all(type(token) is int for token in ends)
    need(
        tokens and all(0 <= token < net.vocabulary for token in ends),
        "netlist",
        f"end tokens {ends!r:.60} for a vocabulary of {net.vocabulary}",
    )
    need(len(output.sends) == 1, output.label, f"the output is sent {len(output.sends)} times")


def _steps(net: Netlist, population: Population) -> None:
    """Updates and sends inside the period and inside one phase."""
    at, steps, sends = population.label, population.steps, population.sends
    for some in (steps, sends):
        need(all(a < b for a, b in pairwise(some)), at, "steps out of order")
        need(not some or 0 <= some[0] <= some[-1] < net.period, at, "steps outside the phases")
    timing = population.does.timing
    expected = timing.sends(steps, population.params)
    need(sends == expected and sends, at, f"sends at {sends[:3]}.., not at {expected[:3]}..")
    need(len(steps) == 1 or not timing.one_step, at, f"{len(steps)} steps instead of one")
    need(_phase(net, steps[0]) == _phase(net, steps[-1]), at, "is updated across phases")


def _phase(net: Network[Any], step: int) -> int:
    return bisect_right(net.phases, step, key=lambda phase: phase[0])


def _form(wiring: Wiring, group: Synapses) -> None:
    """Check shapes and ranges of one group's weights."""
    at, form = group.label, group.form
    source, target = wiring.ends(group)
    if isinstance(form, Dense):
        shape = (target.n, source.n)
        need(tuple(form.weights.shape) == shape, at, f"weights {form.weights.shape}, not {shape}")
        need(1 <= form.bits <= 8, at, f"weights of {form.bits} bits; a synapse has 1 to 8")
        # A matrix that is not held is checked when it is written and when it is read.
        held = form.weights.array if isinstance(form.weights, InMemory) else np.zeros(0, np.int8)
        need(within(held, form.bits), at, f"weights beyond {form.bits} bits")
    elif isinstance(form, Gather):
        index, weight = form.index, form.weight
        need(index.shape == weight.shape == (target.n,), at, f"index is {index.shape}")
        need(index.dtype == np.int32 and weight.dtype == np.int8, at, f"index is {index.dtype}")
        need(index.min() >= 0 and index.max() < source.n, at, f"index over {source.n} sources")
    elif isinstance(form, Written):
        _written(wiring, group, form)
    else:
        _pattern(at, form, source, target)


def _pattern(at: str, form: Pattern, source: Population, target: Population) -> None:
    axes = tuple(source.axes), tuple(target.axes)
    need((form.source, form.target) == axes, at, f"{form} along axes that are not there")
    shared = [(axis, size) for axis, size in source.axes.items() if axis in target.axes]
    theirs = [(axis, size) for axis, size in target.axes.items() if axis in source.axes]
    need(shared == theirs, at, f"axes {shared} of the source, {theirs} of the target")
    need(-128 <= form.weight <= 127, at, f"weight {form.weight} is no int8")


def _written(wiring: Wiring, group: Synapses, form: Written) -> None:
    """Who writes where and when; every weight belongs to one pair of compartments at most."""
    at, net = group.label, wiring.net
    for end in (form.value, form.pointer):
        need(end in net.populations, at, f"there is no population `{end:.80}`")
    value, pointer = net.populations[form.value], net.populations[form.pointer]
    need(pointer.does.one_hot, at, f"`{pointer.name}` is no pointer to slots")
    need(pointer.axes in ({SLOTS: pointer.n}, {}), at, f"`{pointer.name}` points along other axes")
    fits = pointer.n == net.context or (pointer.n < net.context and net.causal)
    need(fits, at, f"{pointer.n} slots for {net.context} tokens")  # fewer slots are a ring
    kept = [axis for axis in form.axes if axis != SLOTS]  # in the order of the value's numbers
    named = kept == list(value.axes) and form.axes.count(SLOTS) == 1
    need(named, at, f"axes {form.axes} of values along {tuple(value.axes)}")
    need(1 <= form.limit <= WORD_LIMIT, at, f"limit {form.limit}")
    sizes, (source, target) = net.content_axes(form), wiring.ends(group)
    for population in (source, target):
        alike = all(sizes.get(axis, size) == size for axis, size in population.axes.items())
        need(alike, at, f"axes {population.axes} of `{population.name}`, {sizes} of the content")
    shared = all(target.axes.get(axis, n) == n for axis, n in source.axes.items())
    need(shared, at, f"axes {source.axes} of the source, {target.axes} of the target")
    need(set(sizes) <= {*source.axes, *target.axes}, at, f"no end has all of {tuple(sizes)}")
    summed = {axis for axis in source.axes if axis not in target.axes}
    need(summed <= set(sizes), at, f"sums over {sorted(summed - set(sizes))}, which no weight has")
    _writes(at, net, (value, pointer), source)


def _writes(
    at: str, net: Network[Any], writers: tuple[Population, Population], reader: Population
) -> None:
    """Value and pointer send together, once; a spike of the same token comes later."""
    value, pointer = writers
    need(len(pointer.sends) == 1, at, f"`{pointer.name}` sends {len(pointer.sends)} times")
    need(value.sends == pointer.sends, at, "value and pointer are not sent in the same step")
    early = reader.sends[0] <= pointer.sends[0]
    need(not early, at, f"`{reader.name}` sends before its weights are written")


def _arrival(wiring: Wiring, group: Synapses) -> None:
    """Check that every spike arrives at a step of its target, and a code at its digits' shifts."""
    at, (source, target) = group.label, wiring.ends(group)
    arrivals = wiring.arrivals(group)
    late = set(arrivals) - set(target.steps)
    need(not late, at, f"nobody listens at step {min(late, default=0)}")
    net = wiring.net
    crossing = [t for t in source.sends if _phase(net, t) != _phase(net, t + 1)]
    need(not crossing, at, "spikes cross into the next phase")
    port = target.does.ports[group.port]
    if port.form == "sum":
        weight = group.form.weight if isinstance(group.form, Pattern) else 1
        fits = abs(weight) == 1 or not target.params["safe"]
        need(fits, at, f"no proof holds for weight {weight}")
        return _sum(at, target, arrivals, _positions(wiring, group.source))
    if port.form == "spikes" or group.feedback:
        return None
    need(len(arrivals) == 1, at, f"port {group.port} takes one graded value, not a code")
    need(_copies(group.form, source, target), at, f"port {group.port} takes no sums")
    listens = target.does.timing.listens
    last = len(target.steps) - 1 if listens is None else listens(target.params)
    need(not arrivals or target.steps.index(arrivals[0]) <= last, at, "comes after the start")


def _positions(wiring: Wiring, name: str) -> tuple[int, ...]:
    """Which binary digit each of a population's spikes stands for; () for a graded value."""
    source: Population = wiring.net.populations[name]
    return source.does.spikes.code(source.params, len(source.sends)).positions


def _copies(form: Form, source: Population, target: Population) -> bool:
    """Whether each compartment of the target hears one of the source's, through weight 1 or -1.

    Or through a written weight.
    """
    if isinstance(form, Gather):
        return bool((np.abs(form.weight) == 1).all())
    one = isinstance(form, Written) or (isinstance(form, Pattern) and abs(form.weight) == 1)
    return one and set(source.axes) <= set(target.axes)


def _sum(at: str, target: Population, arrivals: tuple[int, ...], digits: tuple[int, ...]) -> None:
    """Check that a graded value is not shifted, and that shifts follow the digits between cuts."""
    shift, cut = target.params["shift"], target.params["cut"]
    if len(arrivals) == 1:
        k = target.steps.index(arrivals[0])
        plain = shift[k] == shift[0] == 0 and not any(cut[: k + 1])
        return need(plain, at, "a graded value comes shifted or after a cut")
    need(arrivals == target.steps, at, "the code and the target's window differ")
    need(len(digits) == len(arrivals), at, "no code is known for its spikes")
    for k in range(1, len(shift)):
        follows = shift[k] - shift[k - 1] == digits[k] - digits[k - 1]
        need(cut[k] or follows, at, f"step {k} does not weigh its digit by its position")
    return None


def _ports(wiring: Wiring, population: Population) -> None:
    """Check that every needed port has a synapse group, and that only sums have several."""
    for name, port in population.does.ports.items():
        count = len(wiring.into(population.name, name))
        needed = port.needed or population.params.get(port.needed_if)
        fits = (1 if needed else 0) <= count and (count <= 1 or port.form == "sum")
        need(fits, population.label, f"{count} groups into port {name}")


def _patched(net: Netlist) -> bool:
    return any(table.source == "patch" for table in net.tables)


def _has_host_port(population: Population) -> bool:
    return any(port.form == "host" for port in population.does.ports.values())


def _host(net: Netlist) -> None:
    """Check that there is one table for every input population, with a row for every id."""
    inputs = sorted(name for name, p in net.populations.items() if _has_host_port(p))
    tables = sorted(table.population for table in net.tables)
    need(inputs == tables, "host tables", f"{tables} for the inputs {inputs}")
    ids = {"token": net.vocabulary, "position": net.context, "type": 1}
    if _patched(net):
        ids["patch"] = 0
        need("token" not in {t.source for t in net.tables}, "host tables", "tokens and patches")
        sizes = {net.populations[t.population].n for t in net.tables if t.source == "patch"}
        need(len(sizes) == 1, "host tables", f"patches of {sorted(sizes)} values")
    for table in net.tables:
        at, shape = f"host table of `{table.population}`", tuple(table.rows.shape)
        need(table.source in ids, at, f"{table.source!r:.80} is no source")
        rows, n = table.offset + ids[table.source], net.populations[table.population].n
        fits = len(shape) == 2 and shape[0] >= rows and shape[1] == n and table.offset >= 0
        need(fits, at, f"rows {shape}, not [{rows}, {n}]")
        need(table.source != "patch" or table.offset == shape[0] == 0, at, "patches need no rows")


def _placement(net: Netlist) -> None:
    """Check that every compartment is on one core, and every dense synapse in one block."""
    where = net.placement
    if where is None:
        return
    sizes = (where.cores, where.cores_per_chip, where.mesh_width)
    need(min(sizes) >= 1, "placement", f"cores {sizes}")
    ends = dict.fromkeys(net.populations, 0)
    for tile in sorted(where.tiles, key=lambda tile: (tile.population, tile.start)):
        need(tile.population in ends, "placement", f"no population `{tile.population:.80}`")
        at = f"population `{tile.population}`, tile {tile.start}..{tile.stop}"
        need(tile.start == ends[tile.population] < tile.stop, at, "overlaps, or leaves a gap")
        need(0 <= tile.core < where.cores, at, f"core {tile.core} of {where.cores}")
        ends[tile.population] = tile.stop
    for name, end in ends.items():
        n = net.populations[name].n
        need(end == n, f"population `{name}`", f"{end} of {n} compartments have a core")
    area = {i: 0 for i, g in enumerate(net.synapses) if isinstance(g.form, Dense)}
    for block in where.blocks:
        (top, bottom), (left, right), at = block.rows, block.cols, f"placement, {block}"
        need(block.group in area, at, f"group {block.group} is not dense")
        form = net.synapses[block.group].form
        assert isinstance(form, Dense)
        rows, cols = form.weights.shape
        need(0 <= top < bottom <= rows and 0 <= left < right <= cols, at, "is outside its group")
        need(0 <= block.core < where.cores, at, f"there are {where.cores} cores")
        area[block.group] += (bottom - top) * (right - left)
    for i, synapses in area.items():
        group = net.synapses[i]
        assert isinstance(group.form, Dense)
        need(synapses == math.prod(group.form.weights.shape), group.label, "not all on cores")

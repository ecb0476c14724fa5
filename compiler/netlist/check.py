"""check: whether a netlist means one thing; the file format, the pipeline and the engines need it.

The stepper hears every spike in the step it arrives, the fast engine sums whole windows.  They
agree because a spike arrives only while its target listens, and a code only where the weights of
the steps are those of its digits.  The first fault is raised; a check may rely on those before it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise

import numpy as np

from compiler.netlist.declaration import called, declaration, need
from compiler.netlist.model import (
    Dense,
    Form,
    Gather,
    Held,
    Netlist,
    Pattern,
    Population,
    Synapses,
)
from compiler.netlist.packed import within

ONE_STEP = {"input", "leak", "octave", "segment", "pointer"}


def check(net: Netlist) -> None:
    """Raise NetlistError, naming the population or synapse group, on the first inconsistency."""
    _whole(net)
    for name, population in net.populations.items():
        declaration(name, population)
        _steps(net, population)
    wiring = Wiring(net)
    for group in net.synapses:
        _form(wiring, group)
        _arrival(wiring, group)
    for population in net.populations.values():
        _ports(wiring, population)
        if population.kind == "memory":
            _memory(wiring, population)
        elif population.kind in ("compete", "any"):
            _competition(wiring, population)
    _host(net)
    _placement(net)


class Wiring:
    """Synapse groups by their ends; raises if one of the ends is not there."""

    def __init__(self, net: Netlist) -> None:
        self.net = net
        self.into: dict[str, list[Synapses]] = {name: [] for name in net.populations}
        self.out_of: dict[str, list[Synapses]] = {name: [] for name in net.populations}
        for group in net.synapses:
            for end in (group.source, group.target):
                need(end in net.populations, called(group), f"there is no population `{end:.80}`")
            ports = net.populations[group.target].does.ports
            need(
                group.port in ports and group.port != "host", called(group), "there is no such port"
            )
            self.into[group.target].append(group)
            self.out_of[group.source].append(group)

    def port(self, name: str, port: str) -> list[Synapses]:
        return [group for group in self.into[name] if group.port == port]

    def ends(self, group: Synapses) -> tuple[Population, Population]:
        return self.net.populations[group.source], self.net.populations[group.target]

    def arrivals(self, group: Synapses) -> tuple[int, ...]:
        return tuple(step + 1 for step in self.net.populations[group.source].sends)

    def positions(self, source: Population) -> tuple[int, ...]:
        """Which binary digit each of a population's spikes stands for; () for a graded value."""
        if source.kind == "encode":
            return tuple(range(0, source.params["digits"], source.params["digit_bits"]))
        if source.kind == "fire":
            return (0,) * len(source.sends)
        if source.kind in ("any", "compete"):
            return tuple(range(len(source.sends) - 1, -1, -1))
        if source.kind == "memory" and (readers := self.port(source.name, "read")):
            return self.positions(self.net.populations[readers[0].source])
        return ()


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
        called(output),
        f"{output.n} logits for a vocabulary of {net.vocabulary}",
    )
    need(len(output.sends) == 1, called(output), f"the output is sent {len(output.sends)} times")


def _steps(net: Netlist, population: Population) -> None:
    """Updates and sends inside the period; all but memories stay in one phase."""
    at, steps, sends = called(population), population.steps, population.sends
    for some in (steps, sends):
        need(all(a < b for a, b in pairwise(some)), at, "steps out of order")
        need(not some or 0 <= some[0] <= some[-1] < net.period, at, "steps outside the phases")
    kind, last = population.kind, steps[-1:]
    if kind == "memory":
        return need(set(sends) <= set(steps), at, "sends while it sleeps")
    expected = {
        "encode": steps[len(steps) - len(sends) :],
        "fire": steps[len(steps) - len(sends) :],
        "any": steps,
        "compete": steps[:-1],
    }.get(kind, last)
    need(sends == expected and sends, at, f"sends at {sends[:3]}.., not at {expected[:3]}..")
    need(len(steps) == 1 or kind not in ONE_STEP, at, f"{len(steps)} steps instead of one")
    return need(_phase(net, steps[0]) == _phase(net, steps[-1]), at, "is updated across phases")


def _phase(net: Netlist, step: int) -> int:
    return bisect_right(net.phases, step, key=lambda phase: phase[0])


def _form(wiring: Wiring, group: Synapses) -> None:
    """Shapes and ranges of one group's weights."""
    at, form = called(group), group.form
    source, target = wiring.ends(group)
    if isinstance(form, Dense):
        shape = (target.n, source.n)
        need(tuple(form.weights.shape) == shape, at, f"weights {form.weights.shape}, not {shape}")
        need(1 <= form.bits <= 8, at, f"weights of {form.bits} bits; a synapse has 1 to 8")
        # A matrix that is not held is checked when it is written and when it is read.
        held = form.weights.array if isinstance(form.weights, Held) else np.zeros(0, np.int8)
        need(within(held, form.bits), at, f"weights beyond {form.bits} bits")
        need(source.kind != "memory", at, "recalled values need a pattern")
    elif isinstance(form, Gather):
        index, weight = form.index, form.weight
        need(index.shape == weight.shape == (target.n,), at, f"index is {index.shape}")
        need(index.dtype == np.int32 and weight.dtype == np.int8, at, f"index is {index.dtype}")
        need(index.min() >= 0 and index.max() < source.n, at, f"index over {source.n} sources")
        need(source.kind != "memory", at, "recalled values need a pattern")
    else:
        _pattern(at, form, source, target)


def _pattern(at: str, form: Pattern, source: Population, target: Population) -> None:
    axes = tuple(source.axes), tuple(target.axes)
    need((form.source, form.target) == axes, at, f"{form} along axes that are not there")
    shared = [(axis, size) for axis, size in source.axes.items() if axis in target.axes]
    theirs = [(axis, size) for axis, size in target.axes.items() if axis in source.axes]
    need(shared == theirs, at, f"axes {shared} of the source, {theirs} of the target")
    need(-128 <= form.weight <= 127, at, f"weight {form.weight} is no int8")
    plain = source.kind == "memory" or target.kind == "memory"
    need(form.weight == 1 or not plain, at, f"weight {form.weight} at a memory")


def _arrival(wiring: Wiring, group: Synapses) -> None:
    """Every spike finds its target listening, and a code the weights of its digits."""
    at, (source, target) = called(group), wiring.ends(group)
    arrivals = wiring.arrivals(group)
    late = set(arrivals) - set(target.steps)
    need(not late, at, f"nobody listens at step {min(late, default=0)}")
    net = wiring.net
    crossing = [t for t in source.sends if _phase(net, t) != _phase(net, t + 1)]
    need(not crossing, at, "spikes cross into the next phase")
    if target.kind == "integrate" and group.port == "a":
        weight = group.form.weight if isinstance(group.form, Pattern) else 1
        proven = abs(weight) == 1 or not target.params["safe"]
        need(proven, at, f"no proof holds for weight {weight}")
        return _sum(at, target, arrivals, wiring.positions(source))
    if group.port == "read" or group.feedback or target.kind == "any":
        return None
    need(len(arrivals) == 1, at, f"port {group.port} takes one graded value, not a code")
    need(_copies(group.form, source, target), at, f"port {group.port} takes no sums")
    early = target.params.get("early", 0)
    heard = {"encode": early, "fire": early, "compete": 0, "few_spikes": 0}
    last = heard.get(target.kind, len(target.steps) - 1)
    need(not arrivals or target.steps.index(arrivals[0]) <= last, at, "comes after the start")


def _copies(form: Form, source: Population, target: Population) -> bool:
    """Whether each compartment of the target hears one of the source's, as it was sent."""
    if isinstance(form, Gather):
        return bool((np.abs(form.weight) == 1).all())
    one = isinstance(form, Pattern) and abs(form.weight) == 1
    return one and set(source.axes) <= set(target.axes)


def _sum(at: str, target: Population, arrivals: tuple[int, ...], digits: tuple[int, ...]) -> None:
    """One weight for a graded value wherever it comes; between cuts, shifts follow the digits."""
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
    """Every port that must hear something does; only a sum takes several groups."""
    at, kind = called(population), population.kind
    for port in population.does.ports:
        count = len(wiring.port(population.name, port))
        deaf = port in ("host", "read") or (kind, port) == ("integrate", "enable")
        least = 0 if deaf and not population.params.get("gated") else 1
        most = None if (kind, port) == ("integrate", "a") else 1
        fits = least <= count <= (most or count)
        need(fits, at, f"{count} groups into port {port}")


def _memory(wiring: Wiring, memory: Population) -> None:
    """Value and enable come together, before any read of the same token; who reads is copied on."""
    at = called(memory)
    value, enable = (wiring.port(memory.name, port)[0] for port in ("write", "enable"))
    written = wiring.arrivals(value)
    need(written == wiring.arrivals(enable), at, "value and enable come apart")
    reads = [wiring.arrivals(group) for group in wiring.port(memory.name, "read")]
    need(memory.sends == (reads[0] if reads else ()), at, "does not answer when it is read")
    need(not reads or written[0] <= reads[0][0], at, "is read before it is written")
    axis, slots = list(memory.axes.items())[memory.params["slot_axis"]]
    context = wiring.net.context  # fewer slots are a ring: of a decoder's attention alone
    fits = slots == context or (slots < context and wiring.net.causal)
    need(fits, at, f"{slots} slots for {context} tokens")
    writer = wiring.net.populations[enable.source]
    points = writer.kind == "pointer" and writer.axes in ({axis: slots}, {} if slots == 1 else None)
    need(points, at, f"`{writer.name}` is no pointer to its slots")
    for group in wiring.port(memory.name, "read"):
        reader = wiring.net.populations[group.source]
        need(
            isinstance(group.form, Pattern) and set(reader.axes) <= set(memory.axes),
            at,
            f"`{reader.name}` reads it along other axes",
        )


def _competition(wiring: Wiring, population: Population) -> None:
    """A competition and its referee answer each other, step by step, and nobody else decides."""
    at = called(population)
    if population.kind == "any":
        loops = [group for group in wiring.out_of[population.name] if group.feedback]
        return need(len(loops) == 1, at, "a referee serves one competition")
    (veto, *more) = wiring.port(population.name, "veto")
    referee = wiring.net.populations[veto.source]
    offers = wiring.into[referee.name]
    alone = not more and veto.feedback and referee.kind == "any" and len(offers) == 1
    need(alone and offers[0].source == population.name, at, "has no referee of its own")
    for group in (veto, offers[0]):
        form = group.form
        need(
            isinstance(form, Pattern) and form.weight > 0, called(group), "does not carry a verdict"
        )
    need(set(referee.axes) <= set(population.axes), at, "the referee has other axes")
    answers = wiring.arrivals(offers[0]), wiring.arrivals(veto)
    fits = answers == (referee.steps, population.steps[1:])
    return need(fits, at, "offers and verdicts do not take turns")


def _patched(net: Netlist) -> bool:
    return any(table.source == "patch" for table in net.tables)


def _host(net: Netlist) -> None:
    """One table for every input population, with a row for every id."""
    inputs = sorted(name for name, p in net.populations.items() if p.kind == "input")
    named = sorted(table.population for table in net.tables)
    need(inputs == named, "host tables", f"{named} for the inputs {inputs}")
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
    """Every compartment on one core, every dense synapse in one block."""
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
    for i, covered in area.items():
        group = net.synapses[i]
        assert isinstance(group.form, Dense)
        need(covered == math.prod(group.form.weights.shape), called(group), "not all on cores")

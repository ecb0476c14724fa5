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

from compiler.netlist.arrays import WORD_BITS, WORD_LIMIT, shift_right
from compiler.netlist.kinds import KINDS, Params
from compiler.netlist.model import Dense, Gather, Netlist, Pattern, Population, Synapses
from las_neuro.errors import NetlistError

REMEDY = "compile the model again (las-compile); if the fault stays, report it"
MOST_COMPARTMENTS = 1 << 40  # of one population
SIGNED = {"multiplier", "bias", "low", "high", "base", "slope", "origin", "exponent"}
BY_STEP = {("integrate", "shift"), ("integrate", "cut")}  # tuples, one value a step
BY_COMPARTMENT = {  # [1] or [n]
    ("integrate", "multiplier"),
    ("integrate", "divide"),
    ("integrate", "bias"),
    ("encode", "multiplier"),
    ("encode", "shift"),
    ("encode", "outliers"),
}
ONE_STEP = {"input", "octave", "segment", "pointer"}


def check(net: Netlist) -> None:
    """Raise NetlistError, naming the population or synapse group, on the first inconsistency."""
    _whole(net)
    for name, population in net.populations.items():
        _declaration(name, population)
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
                _need(end in net.populations, _at(group), f"there is no population `{end:.80}`")
            ports = net.populations[group.target].does.ports
            _need(group.port in ports and group.port != "host", _at(group), "there is no such port")
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
            return tuple(range(source.params["steps"]))
        if source.kind in ("any", "compete"):
            return tuple(range(len(source.sends) - 1, -1, -1))
        if source.kind == "memory" and (readers := self.port(source.name, "read")):
            return self.positions(self.net.populations[readers[0].source])
        return ()


def _need(holds: object, where: str, fault: str) -> None:
    if not holds:
        raise NetlistError(f"{where}: {fault}", REMEDY)


def _at(part: Population | Synapses) -> str:
    return f"{'synapses' if isinstance(part, Synapses) else 'population'} `{part.name:.160}`"


def _whole(net: Netlist) -> None:
    starts = [0, *(stop for _, stop in net.phases)]
    for i, (first, stop) in enumerate(net.phases):
        _need(first == starts[i] < stop, "netlist", f"phase {i} is {first}..{stop}")
    _need(
        len(net.phases) == 1 if net.causal else net.phases,
        "netlist",
        f"{len(net.phases)} phases; a decoder has one, an encoder at least one",
    )
    _need(
        net.context >= 1 and net.vocabulary >= 1,
        "netlist",
        f"context {net.context}, vocabulary {net.vocabulary}",
    )
    _need(net.output in net.populations, "netlist", f"there is no output `{net.output:.80}`")
    output = net.populations[net.output]
    _need(net.output_kind in ("logits", "hidden"), "netlist", f"{net.output_kind:.80} is no output")
    _need(
        net.output_kind == "hidden" or output.n == net.vocabulary,
        _at(output),
        f"{output.n} logits for a vocabulary of {net.vocabulary}",
    )
    _need(len(output.sends) == 1, _at(output), f"the output is sent {len(output.sends)} times")


def _declaration(name: str, population: Population) -> None:
    """Name, kind, axes, and every parameter against the kind's declaration."""
    at = f"population `{name!s:.160}`"
    plain = name.isprintable() and "/" not in name and name.strip(". ") == name != ""
    _need(name == population.name and plain, at, f"is called {population.name!r:.80}")
    _need(population.kind in KINDS, at, f"{population.kind!r:.80} is no kind of compartment")
    _need(population.steps, at, "is never updated")
    sizes = list(population.axes.values())
    _need(all(type(size) is int and size >= 1 for size in sizes), at, f"axes {sizes}")
    _need(math.prod(sizes) <= MOST_COMPARTMENTS, at, f"{math.prod(sizes)} compartments")
    declared, given = set(population.does.params), set(population.params)
    _need(not given - declared, at, f"{population.kind} has no {sorted(given - declared)}")
    _need(not declared - given, at, f"{sorted(declared - given)} missing")
    for key in population.params:
        _parameter(population, key)
    _fit(population)


def _parameter(population: Population, key: str) -> None:
    at, value = f"{_at(population)}, {key}", population.params[key]
    own = (population.kind, key)
    if own in BY_STEP:
        count = len(population.steps)
        _need(isinstance(value, tuple) and len(value) == count, at, f"is not {count} integers")
    elif isinstance(value, np.ndarray) and value.dtype == np.int64 and value.ndim == 1:
        table, n = key in population.does.tables, population.n
        _need(table or own in BY_COMPARTMENT, at, "is one integer, not an array")
        _need(len(value) if table else len(value) in (1, n), at, f"{len(value)} values for {n}")
    else:
        array = own in BY_COMPARTMENT or key in population.does.tables
        _need(not array, at, "is no array of int64")
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        _need(whole, at, f"{value!r:.40} is no integer")
    bits = population.does.params[key]
    most = WORD_LIMIT if bits == WORD_BITS else 2 ** (bits - 1) if key in SIGNED else 2**bits - 1
    ends = (min(value), max(value)) if isinstance(value, tuple) else (np.min(value), np.max(value))
    least = -most if key in SIGNED else 0
    _need(
        least <= ends[0] and ends[1] <= most, at, f"{ends[0]}..{ends[1]} is not in {least}..{most}"
    )


def _fit(population: Population) -> None:
    """What binds parameters of one population to each other and to its steps."""
    at, p, steps = _at(population), population.params, len(population.steps)
    if population.does.tables:
        _lines(at, population.kind, p)
    if "arrivals" in p:
        _need(p["arrivals"] == steps, at, f"{p['arrivals']} arrivals in {steps} steps")
    match population.kind:
        case "integrate":
            _need(p["low"] <= p["high"], at, f"low {p['low']} over high {p['high']}")
            _need(p["cut"][0] == 0, at, "cuts before anything came")
        case "encode":
            fits = p["steps"] == len(population.sends) == steps - p["early"]
            _need(fits, at, f"{p['early']} + {p['steps']} digits in {steps} steps")
        case "pointer":
            _need(p["slots"] == population.n, at, f"{p['slots']} slots")
        case "memory":
            _need(p["slot_axis"] < len(population.axes), at, f"slot axis {p['slot_axis']}")
        case "compete":
            _need(p["bits"] + p["drop"] >= WORD_BITS - 1, at, "some bits never compete")
            _need(p["bits"] + 1 == steps, at, f"{p['bits']} bits in {steps} steps")


def _lines(at: str, kind: str, p: Params) -> None:
    """Tables as long as they are addressed, and lines whose values stay in a word."""
    lines = len(p["base"])
    if kind == "segment":
        _need(lines << p["width"] <= 1 << (WORD_BITS + 2), at, "lines beyond a word")
    else:
        lines = (1 + p.get("root", 0)) << p["lines_log2"]
    _need(len(p["base"]) == len(p["slope"]) == lines, at, f"its tables have not {lines} lines")
    if kind == "antilog":
        _need(p["lines_log2"] <= p["fraction_bits"], at, "more lines than fractions")
        part = (1 << (p["fraction_bits"] - p["lines_log2"])) - 1
        ends = p["base"] - shift_right(p["slope"] * part, p["shift"])
        _need(min(p["slope"].min(), ends.min()) >= 0, at, "a line rises, or falls below 0")


def _steps(net: Netlist, population: Population) -> None:
    """Updates and sends inside the period; all but memories stay in one phase."""
    at, steps, sends = _at(population), population.steps, population.sends
    for some in (steps, sends):
        _need(all(a < b for a, b in pairwise(some)), at, "steps out of order")
        _need(not some or 0 <= some[0] <= some[-1] < net.period, at, "steps outside the phases")
    kind, last = population.kind, steps[-1:]
    if kind == "memory":
        return _need(set(sends) <= set(steps), at, "sends while it sleeps")
    expected = {
        "encode": steps[len(steps) - len(sends) :],
        "any": steps,
        "compete": steps[:-1],
    }.get(kind, last)
    _need(sends == expected and sends, at, f"sends at {sends[:3]}.., not at {expected[:3]}..")
    _need(len(steps) == 1 or kind not in ONE_STEP, at, f"{len(steps)} steps instead of one")
    return _need(_phase(net, steps[0]) == _phase(net, steps[-1]), at, "is updated across phases")


def _phase(net: Netlist, step: int) -> int:
    return bisect_right(net.phases, step, key=lambda phase: phase[0])


def _form(wiring: Wiring, group: Synapses) -> None:
    """Shapes and ranges of one group's weights."""
    at, form = _at(group), group.form
    source, target = wiring.ends(group)
    if isinstance(form, Dense):
        shape = (target.n, source.n)
        _need(tuple(form.weights.shape) == shape, at, f"weights {form.weights.shape}, not {shape}")
        _need(source.kind != "memory", at, "recalled values need a pattern")
    elif isinstance(form, Gather):
        index, weight = form.index, form.weight
        _need(index.shape == weight.shape == (target.n,), at, f"index is {index.shape}")
        _need(index.dtype == np.int32 and weight.dtype == np.int8, at, f"index is {index.dtype}")
        _need(index.min() >= 0 and index.max() < source.n, at, f"index over {source.n} sources")
        _need(source.axes == target.axes and source.kind != "memory", at, "axes differ")
    else:
        _pattern(at, form, source, target)


def _pattern(at: str, form: Pattern, source: Population, target: Population) -> None:
    axes = tuple(source.axes), tuple(target.axes)
    _need((form.source, form.target) == axes, at, f"{form} along axes that are not there")
    shared = [(axis, size) for axis, size in source.axes.items() if axis in target.axes]
    theirs = [(axis, size) for axis, size in target.axes.items() if axis in source.axes]
    _need(shared == theirs, at, f"axes {shared} of the source, {theirs} of the target")
    _need(-128 <= form.weight <= 127, at, f"weight {form.weight} is no int8")
    plain = source.kind == "memory" or target.kind == "memory"
    _need(form.weight == 1 or not plain, at, f"weight {form.weight} at a memory")


def _arrival(wiring: Wiring, group: Synapses) -> None:
    """Every spike finds its target listening, and a code the weights of its digits."""
    at, (source, target) = _at(group), wiring.ends(group)
    arrivals = wiring.arrivals(group)
    late = set(arrivals) - set(target.steps)
    _need(not late, at, f"nobody listens at step {min(late, default=0)}")
    net = wiring.net
    crossing = [t for t in source.sends if _phase(net, t) != _phase(net, t + 1)]
    _need(not crossing, at, "spikes cross into the next phase")
    if target.kind == "integrate" and group.port == "a":
        weight = group.form.weight if isinstance(group.form, Pattern) else 1
        proven = abs(weight) == 1 or not target.params["safe"]
        _need(proven, at, f"no proof holds for weight {weight}")
        return _sum(at, target, arrivals, wiring.positions(source))
    if group.port == "read" or group.feedback or target.kind == "any":
        return None
    _need(len(arrivals) == 1, at, f"port {group.port} takes one graded value, not a code")
    form = group.form
    one = isinstance(form, Pattern) and abs(form.weight) == 1
    _need(one and set(source.axes) <= set(target.axes), at, f"port {group.port} takes no sums")
    heard = {"encode": target.params.get("early", 0), "compete": 0}
    last = heard.get(target.kind, len(target.steps) - 1)
    _need(not arrivals or target.steps.index(arrivals[0]) <= last, at, "comes after the start")


def _sum(at: str, target: Population, arrivals: tuple[int, ...], digits: tuple[int, ...]) -> None:
    """One weight for a graded value wherever it comes; between cuts, shifts follow the digits."""
    shift, cut = target.params["shift"], target.params["cut"]
    if len(arrivals) == 1:
        k = target.steps.index(arrivals[0])
        plain = shift[k] == shift[0] == 0 and not any(cut[: k + 1])
        return _need(plain, at, "a graded value comes shifted or after a cut")
    _need(arrivals == target.steps, at, "the code and the target's window differ")
    _need(len(digits) == len(arrivals), at, "no code is known for its spikes")
    for k in range(1, len(shift)):
        follows = shift[k] - shift[k - 1] == digits[k] - digits[k - 1]
        _need(cut[k] or follows, at, f"step {k} does not weigh its digit by its position")
    return None


def _ports(wiring: Wiring, population: Population) -> None:
    """Every port that must hear something does; only a sum takes several groups."""
    at, kind = _at(population), population.kind
    for port in population.does.ports:
        count = len(wiring.port(population.name, port))
        deaf = port in ("host", "read") or (kind, port) == ("integrate", "enable")
        least = 0 if deaf and not population.params.get("gated") else 1
        most = None if (kind, port) == ("integrate", "a") else 1
        fits = least <= count <= (most or count)
        _need(fits, at, f"{count} groups into port {port}")


def _memory(wiring: Wiring, memory: Population) -> None:
    """Value and enable come together, before any read of the same token; who reads is copied on."""
    at = _at(memory)
    value, enable = (wiring.port(memory.name, port)[0] for port in ("write", "enable"))
    written = wiring.arrivals(value)
    _need(written == wiring.arrivals(enable), at, "value and enable come apart")
    reads = [wiring.arrivals(group) for group in wiring.port(memory.name, "read")]
    _need(memory.sends == (reads[0] if reads else ()), at, "does not answer when it is read")
    _need(not reads or written[0] <= reads[0][0], at, "is read before it is written")
    axis, slots = list(memory.axes.items())[memory.params["slot_axis"]]
    _need(slots == wiring.net.context, at, f"{slots} slots for {wiring.net.context} tokens")
    writer = wiring.net.populations[enable.source]
    points = writer.kind == "pointer" and writer.axes in ({axis: slots}, {} if slots == 1 else None)
    _need(points, at, f"`{writer.name}` is no pointer to its slots")
    for group in wiring.port(memory.name, "read"):
        reader = wiring.net.populations[group.source]
        _need(
            isinstance(group.form, Pattern) and set(reader.axes) <= set(memory.axes),
            at,
            f"`{reader.name}` reads it along other axes",
        )


def _competition(wiring: Wiring, population: Population) -> None:
    """A competition and its referee answer each other, step by step, and nobody else decides."""
    at = _at(population)
    if population.kind == "any":
        loops = [group for group in wiring.out_of[population.name] if group.feedback]
        return _need(len(loops) == 1, at, "a referee serves one competition")
    (veto, *more) = wiring.port(population.name, "veto")
    referee = wiring.net.populations[veto.source]
    offers = wiring.into[referee.name]
    alone = not more and veto.feedback and referee.kind == "any" and len(offers) == 1
    _need(alone and offers[0].source == population.name, at, "has no referee of its own")
    for group in (veto, offers[0]):
        form = group.form
        _need(isinstance(form, Pattern) and form.weight > 0, _at(group), "does not carry a verdict")
    _need(set(referee.axes) <= set(population.axes), at, "the referee has other axes")
    answers = wiring.arrivals(offers[0]), wiring.arrivals(veto)
    fits = answers == (referee.steps, population.steps[1:])
    return _need(fits, at, "offers and verdicts do not take turns")


def _host(net: Netlist) -> None:
    """One table for every input population, with a row for every id."""
    inputs = sorted(name for name, p in net.populations.items() if p.kind == "input")
    named = sorted(table.population for table in net.tables)
    _need(inputs == named, "host tables", f"{named} for the inputs {inputs}")
    ids = {"token": net.vocabulary, "position": net.context, "type": 1}
    for table in net.tables:
        at, shape = f"host table of `{table.population}`", tuple(table.rows.shape)
        _need(table.source in ids, at, f"{table.source!r:.80} is no source")
        rows, n = table.offset + ids[table.source], net.populations[table.population].n
        fits = len(shape) == 2 and shape[0] >= rows and shape[1] == n and table.offset >= 0
        _need(fits, at, f"rows {shape}, not [{rows}, {n}]")


def _placement(net: Netlist) -> None:
    """Every compartment on one core, every dense synapse in one block."""
    where = net.placement
    if where is None:
        return
    sizes = (where.cores, where.cores_per_chip, where.mesh_width)
    _need(min(sizes) >= 1, "placement", f"cores {sizes}")
    ends = dict.fromkeys(net.populations, 0)
    for tile in sorted(where.tiles, key=lambda tile: (tile.population, tile.start)):
        _need(tile.population in ends, "placement", f"no population `{tile.population:.80}`")
        at = f"population `{tile.population}`, tile {tile.start}..{tile.stop}"
        _need(tile.start == ends[tile.population] < tile.stop, at, "overlaps, or leaves a gap")
        _need(0 <= tile.core < where.cores, at, f"core {tile.core} of {where.cores}")
        ends[tile.population] = tile.stop
    for name, end in ends.items():
        n = net.populations[name].n
        _need(end == n, f"population `{name}`", f"{end} of {n} compartments have a core")
    area = {i: 0 for i, g in enumerate(net.synapses) if isinstance(g.form, Dense)}
    for block in where.blocks:
        (top, bottom), (left, right), at = block.rows, block.cols, f"placement, {block}"
        _need(block.group in area, at, f"group {block.group} is not dense")
        form = net.synapses[block.group].form
        assert isinstance(form, Dense)
        rows, cols = form.weights.shape
        _need(0 <= top < bottom <= rows and 0 <= left < right <= cols, at, "is outside its group")
        _need(0 <= block.core < where.cores, at, f"there are {where.cores} cores")
        area[block.group] += (bottom - top) * (right - left)
    for i, covered in area.items():
        group = net.synapses[i]
        assert isinstance(group.form, Dense)
        _need(covered == math.prod(group.form.weights.shape), _at(group), "not all on cores")

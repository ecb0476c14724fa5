"""declaration: whether a population's parameters are what its kind declares, and fit each other."""

from __future__ import annotations

import math

import numpy as np

from compiler.netlist.arrays import WORD_BITS, WORD_LIMIT, shift_right
from compiler.netlist.kinds import KINDS, Params
from compiler.netlist.kinds.fire import largest_payload, most_quanta
from compiler.netlist.model import ROLES, Population, Synapses
from las_neuro.errors import NetlistError

REMEDY = "compile the model again (las-compile); if the fault stays, report it"
MOST_COMPARTMENTS = 1 << 40  # of one population
MOST_DIGIT_BITS = 8  # of one graded spike
SIGNED = {
    "multiplier",
    "bias",
    "low",
    "high",
    "base",
    "slope",
    "origin",
    "exponent",
    "offset",
    "send",
    "theta",
    "reset",
    "d",
    "edges",
}
BY_STEP = {("integrate", "shift"), ("integrate", "cut")}  # tuples, one value a step
BY_COMPARTMENT = {  # [1] or [n]
    ("integrate", "multiplier"),
    ("integrate", "divide"),
    ("integrate", "bias"),
    ("encode", "multiplier"),
    ("encode", "shift"),
    ("encode", "outliers"),
    ("encode", "skipped"),
    ("fire", "multiplier"),
    ("fire", "shift"),
    ("fire", "offset"),
    ("fire", "low"),
    ("fire", "high"),
    ("fire", "lift"),
    ("leak", "multiplier"),
    ("leak", "shift"),
    ("leak", "gain"),
    ("leak", "divide"),
}


def declaration(name: str, population: Population) -> None:
    """Name, kind, axes, and every parameter against the kind's declaration."""
    at = f"population `{name!s:.160}`"
    plain = name.isprintable() and "/" not in name and name.strip(". ") == name != ""
    need(name == population.name and plain, at, f"is called {population.name!r:.80}")
    need(population.kind in KINDS, at, f"{population.kind!r:.80} is no kind of compartment")
    need(population.role in ROLES, at, f"{population.role!r:.80} is no role of a population")
    need(population.steps, at, "is never updated")
    sizes = list(population.axes.values())
    need(all(type(size) is int and size >= 1 for size in sizes), at, f"axes {sizes}")
    need(math.prod(sizes) <= MOST_COMPARTMENTS, at, f"{math.prod(sizes)} compartments")
    declared, given = set(population.does.params), set(population.params)
    need(not given - declared, at, f"{population.kind} has no {sorted(given - declared)}")
    need(not declared - given, at, f"{sorted(declared - given)} missing")
    for key in population.params:
        _parameter(population, key)
    _fit(population)


def _parameter(population: Population, key: str) -> None:
    at, value = f"{called(population)}, {key}", population.params[key]
    own = (population.kind, key)
    if own in BY_STEP:
        count = len(population.steps)
        need(isinstance(value, tuple) and len(value) == count, at, f"is not {count} integers")
    elif isinstance(value, np.ndarray) and value.dtype == np.int64 and value.ndim == 1:
        table, n = key in population.does.tables, population.n
        need(table or own in BY_COMPARTMENT, at, "is one integer, not an array")
        need(len(value) if table else len(value) in (1, n), at, f"{len(value)} values for {n}")
    else:
        array = own in BY_COMPARTMENT or key in population.does.tables
        need(not array, at, "is no array of int64")
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        need(whole, at, f"{value!r:.40} is no integer")
    bits = population.does.params[key]
    most = WORD_LIMIT if bits == WORD_BITS else 2 ** (bits - 1) if key in SIGNED else 2**bits - 1
    ends = (min(value), max(value)) if isinstance(value, tuple) else (np.min(value), np.max(value))
    least = -most if key in SIGNED else 0
    need(
        least <= ends[0] and ends[1] <= most, at, f"{ends[0]}..{ends[1]} is not in {least}..{most}"
    )


def _fit(population: Population) -> None:
    """What binds parameters of one population to each other and to its steps."""
    at, p, steps = called(population), population.params, len(population.steps)
    if "base" in p:
        _lines(at, population.kind, p)
    if "arrivals" in p:
        need(p["arrivals"] == steps, at, f"{p['arrivals']} arrivals in {steps} steps")
    match population.kind:
        case "integrate":
            need(p["low"] <= p["high"], at, f"low {p['low']} over high {p['high']}")
            need(p["cut"][0] == 0, at, "cuts before anything came")
        case "encode":
            fits = p["steps"] == len(population.sends) == steps - p["early"]
            need(fits, at, f"{p['early']} + {p['steps']} digits in {steps} steps")
            _code(at, p)
        case "fire":
            fits = p["steps"] == len(population.sends) == steps - p["early"]
            need(fits, at, f"{p['early']} + {p['steps']} firings in {steps} steps")
            _neuron(at, p)
        case "few_spikes":
            sizes = [len(p[key]) for key in ("theta", "reset", "d")]
            wanted = len(p["edges"]) * p["count"]
            need(sizes == [wanted] * 3, at, f"tables of {sizes}, not {wanted}")
            need(p["count"] == steps, at, f"{p['count']} firings in {steps} steps")
        case "pointer":
            need(p["slots"] == population.n, at, f"{p['slots']} slots")
        case "memory":
            need(p["slot_axis"] < len(population.axes), at, f"slot axis {p['slot_axis']}")
        case "compete":
            need(p["bits"] + p["drop"] >= WORD_BITS - 1, at, "some bits never compete")
            need(p["bits"] + 1 == steps, at, f"{p['bits']} bits in {steps} steps")


def _code(at: str, p: Params) -> None:
    """Spikes for all digits, and digits of a form that exists."""
    width, digits = p["digit_bits"], p["digits"]
    need(1 <= width <= MOST_DIGIT_BITS, at, f"{width} binary digits in a spike")
    need(digits < WORD_BITS, at, f"{digits} digits and a sign in {WORD_BITS} bits")
    need(width == 1 or not p["signed_digit"], at, "signed digits are sent one by one")
    need(p["steps"] == -(-digits // width), at, f"{p['steps']} spikes for {digits} digits")
    need(p["skipped"].max() < digits, at, f"skips {p['skipped'].max()} of {digits} digits")


def _neuron(at: str, p: Params) -> None:
    """A table entry a step, thresholds that can be divided by, and a potential inside its word."""
    tables = [len(p[key]) for key in ("theta", "reset", "send")]
    need(tables == [p["steps"]] * 3, at, f"tables of {tables} steps, not {p['steps']}")
    need(p["theta"].all(), at, "a threshold is 0")
    need(p["theta"].min() > 0 or not p["strict"], at, "is strict below 0")
    need(1 <= p["most"] <= p["level"], at, f"sends {p['most']} quanta of {p['level']}")
    need((p["low"] <= p["high"]).all(), at, "a range is empty")
    value = int(max(np.abs(p["low"]).max(), np.abs(p["high"]).max()))
    times = p["steps"] if p["drive"] else 1
    taken = most_quanta(p) * int(np.abs(p["reset"]).sum())
    peak = value * times + int(np.abs(p["offset"]).max()) + taken
    need(peak <= WORD_LIMIT, at, f"its potential reaches {peak}")
    largest = largest_payload(p)
    need(largest <= WORD_LIMIT, at, f"a spike of {largest}")


def _lines(at: str, kind: str, p: Params) -> None:
    """Tables as long as they are addressed, and lines whose values stay in a word."""
    lines = len(p["base"])
    if kind == "segment":
        need(lines << p["width"] <= 1 << (WORD_BITS + 2), at, "lines beyond a word")
    else:
        lines = (1 + p.get("root", 0)) << p["lines_log2"]
    need(len(p["base"]) == len(p["slope"]) == lines, at, f"its tables have not {lines} lines")
    if kind == "antilog":
        need(p["lines_log2"] <= p["fraction_bits"], at, "more lines than fractions")
        part = (1 << (p["fraction_bits"] - p["lines_log2"])) - 1
        ends = p["base"] - shift_right(p["slope"] * part, p["shift"])
        need(min(p["slope"].min(), ends.min()) >= 0, at, "a line rises, or falls below 0")


def need(holds: object, where: str, fault: str) -> None:
    if not holds:
        raise NetlistError(f"{where}: {fault}", REMEDY)


def called(part: Population | Synapses) -> str:
    return f"{'synapses' if isinstance(part, Synapses) else 'population'} `{part.name:.160}`"

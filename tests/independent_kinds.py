"""The kinds of compartments, by section 7 of docs/netlist.md alone; see independent_executor.py."""

from __future__ import annotations

from typing import Any

import numpy as np

WORD = 2**23 - 1
Values = dict[str, Any]


def size(axes: dict[str, int]) -> int:
    return int(np.prod(list(axes.values()), dtype=np.int64))


def parameter(value: Any, place: str, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, dict) and "values" in value:
        return np.array(value["values"], np.int64)
    if isinstance(value, dict):
        assert value["shape"] == list(arrays[place].shape)
        return arrays[place].astype(np.int64)
    return value


def rshift(x: Any, b: Any) -> np.ndarray:
    half = np.where(np.asarray(b) > 0, 1 << np.maximum(np.asarray(b) - 1, 0), 0)
    return (x + half) >> b


def count(condition: np.ndarray) -> int:
    return int(np.count_nonzero(condition))


class Population:
    """A population as it runs: state words, counters, one method per kind.

    Of a method: x gives what arrives at a port, k is the place in `steps`, p the parameters.
    """

    def __init__(self, name: str, population: Values, arrays: dict[str, np.ndarray]) -> None:
        self.name, self.n = name, size(population["axes"])
        self.steps, self.sends = population["steps"], population["sends"]
        self.kind = population["kind"]
        self.p = {
            key: parameter(value, f"populations/{name}/params/{key}", arrays)
            for key, value in population["params"].items()
        }
        self.spikes = np.zeros(self.n, np.int64)
        self.clamps = self.wraps = 0
        self.zero = np.zeros(self.n, np.int64)
        self.reset()

    def reset(self) -> None:
        self.state: Values = {}

    def word(self, name: str) -> Any:
        return self.old.get(name, self.zero)

    def step(self, x: dict[str, np.ndarray], k: int) -> np.ndarray:
        self.old, self.state = self.state, {}
        payload = getattr(self, self.kind)(lambda port: x.get(port, self.zero), k, self.p)
        payload = np.broadcast_to(payload, (self.n,)).astype(np.int64)
        self.spikes += payload != 0
        return payload

    def last(self, k: int) -> bool:
        return k == len(self.steps) - 1

    def limited(self, y: np.ndarray) -> np.ndarray:
        self.clamps += count(np.abs(y) > WORD)
        return np.clip(y, -WORD, WORD)

    def input(self, x: Any, k: int, p: Values) -> np.ndarray:
        return x("host")

    def encode(self, x: Any, k: int, p: Values) -> np.ndarray:
        if k < p["early"]:
            self.state["x"] = self.word("x") + x("x")
            return self.zero
        if k == p["early"]:
            q = rshift((self.word("x") + x("x")) * p["multiplier"], p["shift"])
            largest = 2 ** (p["digits"] + 1) // 3 if p["signed_digit"] else 2 ** p["digits"] - 1
            top = largest >> p["skipped"]
            m = rshift(np.abs(q), p["skipped"])
            outlier = (p["outlier_shift"] > 0) & (p["outliers"] == 1) & (m > top)
            m = np.where(outlier, rshift(np.abs(q), p["outlier_shift"] + p["skipped"]), m)
            payload = np.sign(q) << np.where(outlier, p["outlier_shift"], 0)
            self.clamps += count(m > top)
            rest = np.minimum(m, top) << p["skipped"]
        else:
            rest, payload = self.word("rest"), self.word("payload")
        if p["signed_digit"]:
            digit = (rest & 1) * (2 - (rest & 3))
            rest = (rest - digit) >> 1
        else:
            digit = rest & (2 ** p["digit_bits"] - 1)
            rest = rest >> p["digit_bits"]
        self.state.update(rest=rest, payload=payload)
        return digit * payload

    def fire(self, x: Any, k: int, p: Values) -> np.ndarray:
        t = k - p["early"]
        if t < 0:
            self.state["x"] = self.word("x") + x("x")
            return self.zero
        if t == 0:
            q = rshift((self.word("x") + x("x")) * p["multiplier"], p["shift"])
            held = np.minimum(np.maximum(q, p["low"]), p["high"])
            self.clamps += count(q > held) + count((q < held) & (p["low"] < 0))
            sign = np.sign(q) if p["signed"] else self.zero + 1
            value = np.abs(held) if p["signed"] else held
            v = value + p["offset"]
        else:
            value, sign = self.word("value"), self.word("sign")
            v = self.word("v") + p["drive"] * value
        quanta = (v - p["strict"]) // p["theta"][t]
        quanta = np.where(quanta >= p["level"], p["most"], np.maximum(quanta, 0))
        self.state.update(v=v - quanta * p["reset"][t], value=value, sign=sign)
        return (quanta * p["send"][t] * sign) << p["lift"]

    def few_spikes(self, x: Any, k: int, p: Values) -> np.ndarray:
        v, y, domain = self.word("v"), self.word("y"), self.word("domain")
        if k == 0:
            v, y = x("x"), self.zero
            domain = sum(((v >= edge) * 1 for edge in p["edges"][1:]), self.zero)
        at = domain * p["count"] + k
        fired = (v > p["theta"][at]) * 1
        v = self.limited(v - fired * p["reset"][at])
        y = self.limited(y + fired * p["d"][at])
        if self.last(k):
            return y
        self.state.update(v=v, y=y, domain=domain)
        return self.zero

    def integrate(self, x: Any, k: int, p: Values) -> np.ndarray:
        enabled = self.word("enabled") + x("enable")
        u, turns = self.word("u"), self.word("turns")
        if p["cut"][k] > 0:
            self.wraps += count(turns != 0)
            turns = self.zero
            u = u >> p["cut"][k] if any(p["cut"][k + 1 :]) else rshift(u, p["cut"][k])
        u = u + (x("a") << p["shift"][k])
        turn = (u + 2**23) >> 24
        u, turns = u - turn * 2**24, turns + turn
        if not self.last(k):
            self.state.update(u=u, turns=turns, enabled=enabled)
            return self.zero
        self.wraps += count(turns != 0)
        y = rshift(u * p["multiplier"], p["divide"]) + p["bias"]
        if p["low"] == 0:
            y = np.maximum(y, 0)
        if p["gated"]:
            y = np.where(enabled == 0, p["low"], y)
        self.clamps += count((y < p["low"]) | (y > p["high"]))
        y = np.clip(y, p["low"], p["high"])
        return np.where(enabled == 0, 0, y) if p["gated"] else y

    def leak(self, x: Any, k: int, p: Values) -> np.ndarray:
        q, limit = rshift(x("x") * p["multiplier"], p["shift"]), p["threshold"]
        kept = np.where(q > limit, 0, np.where(q < -limit, 2 * x("x"), x("x")))
        return self.limited(rshift(kept * p["gain"], p["divide"]))

    def product(self, x: Any, k: int, p: Values) -> np.ndarray:
        a, b = self.word("a") + x("a"), self.word("b") + x("b")
        if not self.last(k):
            self.state.update(a=a, b=b)
            return self.zero
        return self.limited(rshift(a * b, p["shift"]))

    def segment(self, x: Any, k: int, p: Values) -> np.ndarray:
        offset = x("x") - p["origin"]
        i = np.clip(offset >> p["width"], 0, len(p["base"]) - 1)
        rise = p["slope"][i] * (offset - (i << p["width"]))
        return self.limited(p["base"][i] + rshift(rise, p["shift"]))

    def octave(self, port: Any, k: int, p: Values) -> np.ndarray:
        x = port("x")
        self.clamps += count(x < 1)
        x = np.maximum(x, 1)
        e = np.array([int(one).bit_length() - 1 for one in x])
        fraction, width = (x << (23 - e)) - 2**23, 23 - p["lines_log2"]
        i, part = fraction >> width, fraction & (2**width - 1)
        if p["root"]:
            i, e = i + (e & 1) * 2 ** p["lines_log2"], e >> 1
        line = p["base"][i] + rshift(p["slope"][i] * part, p["shift"])
        down = e - p["exponent"]
        return self.limited(rshift(line << np.clip(-down, 0, 23), np.clip(down, 0, 46)))

    def antilog(self, port: Any, k: int, p: Values) -> np.ndarray:
        x, reference = self.word("x") + port("x"), self.word("reference") + port("reference")
        if not self.last(k):
            self.state.update(x=x, reference=reference)
            return self.zero
        below = reference - x
        self.clamps += count((x > 0) & (below < 0))
        z = np.clip(below, 0, 31 * 2 ** p["fraction_bits"] - 1)
        fraction, width = z & (2 ** p["fraction_bits"] - 1), p["fraction_bits"] - p["lines_log2"]
        i, part = fraction >> width, fraction & (2**width - 1)
        line = p["base"][i] - rshift(p["slope"][i] * part, p["shift"])
        return np.where(x > 0, rshift(line, z >> p["fraction_bits"]), 0)

    def pointer(self, x: Any, k: int, p: Values) -> np.ndarray:
        place = int(self.old.get("count", 0))
        self.state["count"] = (place + 1) % p["slots"]
        return (np.arange(self.n) == place) * 1

    def compete(self, x: Any, k: int, p: Values) -> np.ndarray:
        if k == 0:
            value = x("x") >> p["drop"]
            alive = (value > 0) * 1
        else:
            value = self.word("value")
            beaten = (x("veto") > 0) & (self.word("offer") == 0)
            alive = np.where(beaten, 0, self.word("alive"))
        if k == p["bits"]:
            return self.zero
        offer = ((value >> (p["bits"] - 1 - k)) & 1) * alive
        self.state.update(value=value, alive=alive, offer=offer)
        return offer

    def any(self, x: Any, k: int, p: Values) -> np.ndarray:
        return (x("a") > 0) * 1

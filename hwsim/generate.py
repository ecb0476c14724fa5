"""generate: a decoder netlist continues a prompt, token by token, on any backend.

    fast   whole windows at once (hwsim.backends.fast.engine)
    step   one time step after the other (hwsim.backends.step.stepper)
    lava   Lava's CPU runtime (hwsim.backends.lava), given the whole sequence again for each token

The host picks each token from the output's integers: the largest (the first of equals), or drawn.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.model import Dense, Netlist
from hwsim.backends.traces import Trace
from las_neuro.errors import BackendError, ConfigError, PromptError, UnsupportedError
from las_neuro.integers import Ints

BACKENDS = ("fast", "step", "lava")
SMALL = 1 << 25  # synapses; below, threads lose more time meeting than they gain
LAVA_SECONDS = 600.0  # for one run of a sequence
Pick = Callable[[Ints], int]  # output payloads [n] -> token


class Session(Protocol):
    """One sequence on one backend."""

    def feed(self, tokens: Sequence[int]) -> Ints:
        """The next tokens of the sequence; the output's payloads [n] after the last."""


class Fast:
    """The fast engine."""

    def __init__(self, net: Netlist, trace: Trace | None = None) -> None:
        from hwsim.backends.fast.engine import Engine  # torch is slow to import

        self.trace = trace
        self.engine = Engine(net, count=False, on_train=trace.train if trace else None)

    def feed(self, tokens: Sequence[int]) -> Ints:
        payloads = self.engine.run(np.array([tokens], np.int64))
        last: Ints = payloads[0, -1].cpu().numpy()
        return last


class Steps:
    """The reference engine."""

    def __init__(self, net: Netlist, trace: Trace | None = None) -> None:
        from hwsim.backends.step.stepper import Stepper

        self.engine = Stepper(net, trace.spike if trace else None)

    def feed(self, tokens: Sequence[int]) -> Ints:
        last: Ints = self.engine.run(np.array(tokens, np.int64))[-1]
        return last


class Lava:
    """Lava's CPU runtime, started anew for each feed."""

    def __init__(self, net: Netlist, trace: Trace | None, timeout: float) -> None:
        self.net, self.trace, self.timeout = net, trace, timeout
        self.tokens: list[int] = []

    def feed(self, tokens: Sequence[int]) -> Ints:
        from hwsim.backends.lava import run as run_lava

        self.tokens += tokens
        if self.trace:
            self.trace.payloads = {}
        on_spike = self.trace.spike if self.trace else None
        made = run_lava(
            self.net, np.array(self.tokens, np.int64), on_spike=on_spike, timeout=self.timeout
        )
        last: Ints = made.payloads[-1]
        return last


def open_session(
    net: Netlist, backend: str, trace: Trace | None = None, timeout: float = LAVA_SECONDS
) -> Session:
    """Start a sequence; a backend that is not there is refused before anything runs."""
    check_backend(backend)
    if backend == "lava":
        return Lava(net, trace, timeout)
    return Fast(net, trace) if backend == "fast" else Steps(net, trace)


def spare_threads(net: Netlist) -> None:
    """For a whole process that feeds a small netlist token by token: one thread is fastest."""
    shapes = [group.form.weights.shape for group in net.synapses if isinstance(group.form, Dense)]
    if "OMP_NUM_THREADS" not in os.environ and sum(a * b for a, b in shapes) < SMALL:
        import torch

        torch.set_num_threads(1)


def check_backend(backend: str) -> None:
    """Raise where a backend is unknown or not installed."""
    if backend not in BACKENDS:
        raise ConfigError(f"unknown backend {backend!r}", f"choose one of {', '.join(BACKENDS)}")
    if backend == "lava":
        from hwsim.backends.lava import installed

        if not installed():
            raise BackendError(
                "Lava is not installed here",
                "pip install las-neuro[lava] on Python 3.10, or use the backend step",
            )


@dataclass(frozen=True)
class Generation:
    """A continuation; `stop` is "length", "context" or "end token"."""

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    text: str | None  # None without a tokenizer
    stop: str
    seconds: float


def run(
    netlist: Netlist | Path | str,
    prompt: str | None = None,
    *,
    tokens: Sequence[int] | None = None,
    max_new_tokens: int = 48,
    backend: str = "fast",
    temperature: float = 0.0,
    seed: int = 0,
    timeout: float = LAVA_SECONDS,
    on_token: Callable[[int], None] | None = None,
) -> Generation:
    """Continue a prompt (or token ids) with a netlist or netlist file.

    temperature 0: the likeliest token each time; else drawn, the same for the same seed.
    """
    net = opened(netlist)
    ids = prompt_tokens(net, prompt, tokens)
    pick = picker(net, temperature, seed)
    ends = net.provenance.get("end_tokens", ())
    started = time.perf_counter()
    session = open_session(net, backend, timeout=timeout)
    new: list[int] = []
    stop, fresh = "length", ids
    while len(new) < max_new_tokens:
        if len(ids) + len(new) > net.context:
            stop = "context"
            break
        token = pick(session.feed(fresh))
        if token in ends:
            stop = "end token"
            break
        new.append(token)
        fresh = [token]
        if on_token:
            on_token(token)
    seconds = time.perf_counter() - started
    return Generation(tuple(ids), tuple(new), continued_text(net, ids, new), stop, seconds)


def opened(netlist: Netlist | Path | str) -> Netlist:
    """The netlist itself, or what the file holds."""
    if isinstance(netlist, Netlist):
        return netlist
    from compiler.netlist.hdf5 import load

    return load(Path(netlist))


def prompt_tokens(net: Netlist, prompt: str | None, tokens: Sequence[int] | None) -> list[int]:
    """The ids to begin with, proved to be within the vocabulary and the context."""
    if net.output_kind != "logits":
        raise UnsupportedError(
            f"this {net.family} netlist is an encoder: it gives {net.output_kind} states, no text",
            "compare it with its model: las-eval NETLIST --text FILE --reference MODEL",
        )
    ids = list(tokens) if tokens is not None else _encoded(net, prompt or "")
    if not ids:
        raise PromptError("the prompt is empty", "give at least one word, or --tokens 1,2,3")
    check_ids(net, ids, "the prompt")
    if len(ids) > net.context:
        raise PromptError(
            f"the prompt has {len(ids)} tokens, the netlist's context is {net.context}",
            "shorten the prompt, or compile with a larger --context",
        )
    return ids


def check_ids(net: Netlist, ids: Sequence[int], where: str) -> None:
    """Raise `PromptError` where a token id is beyond the vocabulary; `where`: what holds it."""
    outside = [token for token in ids if not 0 <= token < net.vocabulary]
    if outside:
        raise PromptError(
            f"{where}: token id {outside[0]} is outside 0 to {net.vocabulary - 1}",
            "use the tokenizer that belongs to this model",
        )


def _encoded(net: Netlist, prompt: str) -> list[int]:
    if net.tokenizer is None:
        raise PromptError(
            "the netlist holds no tokenizer to read a prompt with",
            "give token ids (--tokens 1,2,3), or compile from a folder with tokenizer.json",
        )
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError as error:
        raise PromptError("the prompt is not UTF-8 text", "write it as UTF-8") from error
    return list(tokenizer(net).encode(prompt).ids)


def tokenizer(net: Netlist) -> Any:
    """The netlist's own tokenizer."""
    from tokenizers import Tokenizer

    assert net.tokenizer is not None
    return Tokenizer.from_str(net.tokenizer)


def picker(net: Netlist, temperature: float, seed: int) -> Pick:
    """Greedy at temperature 0; else a draw from softmax(logits / temperature)."""
    if not temperature >= 0 or temperature == float("inf"):
        raise ConfigError(f"temperature {temperature} is not 0 or more", "use 0 for greedy")
    if temperature == 0:
        return lambda payloads: int(payloads.argmax())
    unit = net.populations[net.output].unit
    generator = np.random.default_rng(seed)

    def draw(payloads: Ints) -> int:
        with np.errstate(over="ignore"):  # beyond the largest float: no chance at all
            scores = (payloads - payloads.max()) * unit / temperature
        chances: NDArray[np.float64] = np.exp(scores)
        return int(generator.choice(len(chances), p=chances / chances.sum()))

    return draw


def continued_text(net: Netlist, ids: Sequence[int], new: Sequence[int]) -> str | None:
    """What the new tokens add to the prompt's text; alone, they could lose a first space."""
    if net.tokenizer is None:
        return None
    reader = tokenizer(net)
    before = reader.decode(list(ids))
    whole = reader.decode([*ids, *new])
    return str(whole[len(before) :] if whole.startswith(before) else reader.decode(list(new)))

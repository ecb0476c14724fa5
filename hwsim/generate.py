"""generate: continue a prompt with a decoder netlist, token by token, on any backend.

The host picks each token from the output payloads: the largest (the first of equal ones), or a
random draw.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.model import Netlist
from hwsim.backends import DEFAULT, find
from hwsim.backends.backend import RUN_SECONDS
from las_neuro.errors import ConfigError, PromptError, UnsupportedError
from las_neuro.integers import Ints

Pick = Callable[[Ints], int]  # output payloads [n] -> token


@dataclass(frozen=True)
class Generation:
    """A continuation.

    prompt, tokens: ids of the prompt and of the continuation.  stop: why it ended, "length",
    "context" or "end token".
    """

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
    backend: str = DEFAULT,
    temperature: float = 0.0,
    seed: int = 0,
    timeout: float = RUN_SECONDS,
    on_token: Callable[[int], None] | None = None,
) -> Generation:
    """Continue a prompt (or token ids) with a netlist or netlist file.

    backend: a name in `hwsim.backends.names()`; timeout: most seconds for one of its runs.
    temperature: 0 takes the likeliest token each time; above 0 tokens are drawn, by `seed`.
    Raises PromptError for a prompt that the netlist cannot read, UnsupportedError for an encoder,
    ConfigError for an impossible temperature.
    """
    net = open_netlist(netlist)
    ids = prompt_tokens(net, prompt, tokens)
    pick = picker(net, temperature, seed)
    ends = net.provenance.get("end_tokens", ())
    started = time.perf_counter()
    session = find(backend).open(net, timeout=timeout)
    new: list[int] = []
    stop, fresh = "length", ids
    while len(new) < max_new_tokens:
        if len(ids) + len(new) > net.context:
            stop = "context"
            break
        token = pick(session.feed(np.array([fresh], np.int64))[0, -1])
        if token in ends:
            stop = "end token"
            break
        new.append(token)
        fresh = [token]
        if on_token:
            on_token(token)
    seconds = time.perf_counter() - started
    return Generation(tuple(ids), tuple(new), continued_text(net, ids, new), stop, seconds)


def open_netlist(netlist: Netlist | Path | str) -> Netlist:
    """The netlist itself, or the one in a file."""
    if isinstance(netlist, Netlist):
        return netlist
    from compiler.netlist.hdf5 import load

    return load(Path(netlist))


def prompt_tokens(net: Netlist, prompt: str | None, tokens: Sequence[int] | None) -> list[int]:
    """Token ids of the prompt, at least one.

    Raises UnsupportedError for an encoder; PromptError where the prompt is empty, is longer than
    the context, has a token outside the vocabulary, or is text and the netlist has no tokenizer.
    """
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
    """Raise `PromptError` for a token id outside the vocabulary; `where`: its place in words."""
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
    """How tokens are chosen: the likeliest at temperature 0, else drawn from softmax(logits / T).

    Raises ConfigError for a temperature that is negative or not finite.
    """
    if not temperature >= 0 or temperature == float("inf"):
        raise ConfigError(f"temperature {temperature} is not 0 or more", "use 0 for greedy")
    if temperature == 0:
        return lambda payloads: int(payloads.argmax())
    unit = net.populations[net.output].unit
    generator = np.random.default_rng(seed)

    def draw(payloads: Ints) -> int:
        with np.errstate(over="ignore"):  # beyond the largest float: probability 0
            scores = (payloads - payloads.max()) * unit / temperature
        weights: NDArray[np.float64] = np.exp(scores)
        return int(generator.choice(len(weights), p=weights / weights.sum()))

    return draw


def continued_text(net: Netlist, ids: Sequence[int], new: Sequence[int]) -> str | None:
    """Text that the new tokens add to the prompt's; None without a tokenizer.

    Prompt and continuation are decoded together, since alone the new tokens could lose a leading
    space.
    """
    if net.tokenizer is None:
        return None
    reader = tokenizer(net)
    before = reader.decode(list(ids))
    whole = reader.decode([*ids, *new])
    return str(whole[len(before) :] if whole.startswith(before) else reader.decode(list(new)))

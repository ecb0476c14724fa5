"""harness: a netlist as a model of EleutherAI's lm-evaluation-harness, registered as `las`.

    las-harness --model las --model_args netlist=tiny_lm.h5 --tasks arc_easy

Conventions are those of its own model `hf`: special tokens, where a context ends and its
continuation begins, truncation, rolling windows, stop sequences.  The harness gives every model a
batch size and a device (cuda:0 by default); both are ignored, since neither would change a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.models.utils import (
    handle_stop_sequences,
    normalize_gen_kwargs,
    postprocess_generated_text,
)
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from hwsim.backends import DEFAULT, find
from hwsim.generate import open_netlist, picker
from hwsim.measure.evaluate import outputs
from hwsim.measure.likelihood import likelihoods
from hwsim.measure.text_tokens import Pair, TextTokens
from hwsim.measure.threads import limit_threads
from las_neuro.errors import ConfigError, UnsupportedError
from las_neuro.terminal import progress_bars

NEW_TOKENS = 256  # default limit of generated tokens, as for `hf`
NEEDLESS = ("top_p", "top_k")  # have no effect on greedy choice


@register_model("las")
class NetlistLM(TemplateLM):  # type: ignore[misc]  # lm_eval has no types
    """A decoder netlist, run on the default backend; `netlist` is its file."""

    def __init__(
        self,
        netlist: str | Path | None = None,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        device: str | None = None,
    ) -> None:
        super().__init__()
        if netlist is None:
            raise ConfigError("--model las: no netlist", "give --model_args netlist=FILE.h5")
        self.net = open_netlist(Path(str(netlist)))
        self.text = TextTokens(self.net)
        limit_threads(self.net)  # the harness's sequences are short
        self.session = find(DEFAULT).open(self.net)
        self.run = outputs(self.net, self.session)
        self.texts = 0  # texts generated so far: the seed of the next
        self.ends = tuple(self.net.provenance.get("end_tokens", ()))

    @property
    def eot_token_id(self) -> int:
        return int(self.ends[0]) if self.ends else self.text.start_token()

    @property
    def prefix_token_id(self) -> int:
        return self.text.start_token()

    @property
    def max_length(self) -> int:
        return self.net.context

    @property
    def tokenizer_name(self) -> str:
        """Name under which the harness stores tokenised requests."""
        inputs = self.net.provenance.get("inputs", {})
        return f"las-{inputs.get('tokenizer.json', 'converted')}"

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **kwargs: Any
    ) -> list[int]:
        return self.text.encode(string, add_special_tokens)

    def _loglikelihood_tokens(
        self,
        requests: Sequence[tuple[Any, list[int], list[int]]],
        disable_tqdm: bool = False,
        **kwargs: Any,
    ) -> list[tuple[float, bool]]:
        pairs = [Pair(context, continuation) for _, context, continuation in requests]
        with progress_bars(disable_tqdm) as tell:
            scored = likelihoods(
                self.run, pairs, self.net, lambda done, of: tell("likelihood", done, of)
            )
        for (texts, _, _), one in zip(requests, scored, strict=True):
            if texts is not None:  # None: a window of a longer text, which is stored as a whole
                self.cache_hook.add_partial("loglikelihood", texts, (one.nats, one.greedy))
        return [(one.nats, one.greedy) for one in scored]

    def loglikelihood_rolling(
        self, requests: Sequence[Any], disable_tqdm: bool = False
    ) -> list[float]:
        """ln p of whole texts: each token is scored once, in windows with the least overlap."""
        windows: list[tuple[None, list[int], list[int]]] = []
        owners: list[int] = []
        for i, request in enumerate(requests):
            cut = get_rolling_token_windows(
                token_list=self.tok_encode(request.args[0]),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            )
            for pair in map(make_disjoint_window, cut):
                windows.append((None, *pair))
                owners.append(i)
        totals = [0.0] * len(requests)
        scored = self._loglikelihood_tokens(windows, disable_tqdm)
        for i, (nats, _) in zip(owners, scored, strict=True):
            totals[i] += nats
        for request, total in zip(requests, totals, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, total)
        return totals

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        texts = []
        with progress_bars(disable_tqdm) as tell:
            for done, request in enumerate(requests):
                tell("generate", done, len(requests))
                context, settings = request.args
                texts.append(self._continue(context, dict(settings)))
                self.cache_hook.add_partial("generate_until", request.args, texts[-1])
            tell("generate", len(requests), len(requests))
        return texts

    def _continue(self, context: str, settings: dict[str, Any]) -> str:
        """Text up to the first stop sequence, the end token, or the largest number of tokens.

        Raises UnsupportedError for generation settings that are not supported.
        """
        options = dict(normalize_gen_kwargs(settings, NEW_TOKENS))
        end = self.text.decode([self.eot_token_id], special=True)
        stops = handle_stop_sequences(options.pop("until"), eos=end)
        most = options.pop("max_gen_toks")
        draw = bool(options.pop("do_sample"))
        temperature = float(options.pop("temperature", 1.0)) if draw else 0.0
        ignored = ("temperature",) if draw else ("temperature", *NEEDLESS)
        rest = [name for name in options if name not in ignored]
        if rest:
            raise UnsupportedError(
                f"{', '.join(rest)}: generation settings the netlist's host does not know",
                "use temperature, do_sample, until and max_gen_toks",
            )
        ids = self.tok_encode(context)[-self._context_limit(most) :]
        pick = picker(self.net, temperature, self.texts)
        self.texts += 1
        self.session.reset()
        new: list[int] = []
        fresh = ids or [self.prefix_token_id]
        while len(new) < most:
            token = pick(self.session.feed(np.array([fresh], np.int64))[0, -1])
            if token in self.ends:
                break
            new.append(token)
            fresh = [token]
            text = self.text.decode(new)
            if any(stop and stop in text for stop in stops):
                break
        return str(postprocess_generated_text(self.text.decode(new), stops, None))

    def _context_limit(self, most: int) -> int:
        """Most tokens of a context that is followed by `most` new ones.

        Raises ConfigError where no token of context would be left.
        """
        if most >= self.max_length:
            raise ConfigError(
                f"{most} new tokens leave no context: the netlist's is {self.max_length}",
                "give --gen_kwargs max_gen_toks=N, or compile with a larger --context",
            )
        return self.max_length - most


def run_harness() -> None:
    """Run lm_eval's own command line, with the model `las` registered."""
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()

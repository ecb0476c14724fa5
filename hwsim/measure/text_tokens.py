"""text_tokens: texts to be scored, as token ids of a netlist's tokenizer.

Special tokens are those that lm-evaluation-harness 0.4.13 gives a Hugging Face model: the
tokenizer's own, unless the text begins with its start token.  Trailing spaces of a context belong
to its continuation; an empty context becomes the start token.
"""

from __future__ import annotations

from dataclasses import dataclass

from compiler.netlist.model import Netlist
from hwsim.generate import tokenizer
from las_neuro.errors import PromptError, UnsupportedError


@dataclass(frozen=True)
class Pair:
    """A context and its continuation as token ids."""

    context: list[int]
    continuation: list[int]


class TextTokens:
    """The tokenizer of a decoder netlist; `start`: the token that begins a sequence, or None.

    Raises UnsupportedError for an encoder, PromptError for a netlist without a tokenizer.
    """

    def __init__(self, net: Netlist) -> None:
        if net.output_kind != "logits":
            raise UnsupportedError(
                f"this {net.family} netlist gives {net.output_kind}, no likelihood of a text",
                "take a decoder; an encoder is measured by las-eval NETLIST --text FILE"
                " --reference MODEL",
            )
        if net.tokenizer is None:
            raise PromptError(
                "the netlist holds no tokenizer to read text with",
                "compile it from a folder that holds tokenizer.json",
            )
        self.tokenizer = tokenizer(net)
        special = self.tokenizer.encode("a").special_tokens_mask
        self.adds_start = bool(special and special[0])
        self.adds_end = len(special) > 1 and bool(special[-1])
        self.start: int | None = None
        if self.adds_start:
            self.start = int(self.tokenizer.encode("a").ids[0])
        elif net.provenance.get("end_tokens"):  # as in GPT-2: one token both ends and begins
            self.start = int(net.provenance["end_tokens"][0])
        self.start_text = "" if self.start is None else self.decode([self.start], special=True)

    def encode(self, text: str, special: bool | None = None) -> list[int]:
        """Token ids of a text.

        special: whether to add special tokens; None: unless the text begins with the start token.
        """
        if special is None:
            special = not (self.start_text and text.startswith(self.start_text))
        return list(self.tokenizer.encode(text, add_special_tokens=special).ids)

    def decode(self, ids: list[int], special: bool = False) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=not special))

    def pair(self, context: str, continuation: str) -> Pair:
        """Tokenise both texts together, and split where the tokens of the context alone end."""
        if not context:
            return self._unconditional(continuation)
        whole = self.encode(context + continuation)
        before = self.encode(context.rstrip())
        return Pair(before, whole[len(before) :])

    def _unconditional(self, continuation: str) -> Pair:
        ids = self.encode(continuation, special=False)
        start = self.start_token()
        return Pair(ids[:1], ids[1:]) if ids[:1] == [start] else Pair([start], ids)

    def line(self, text: str) -> list[int]:
        """A line between two start tokens, as in training texts of many documents in a row."""
        start = self.start_token()
        ids = self.encode(text, special=self.adds_start or self.adds_end)
        before = [] if self.adds_start else [start]
        return [*before, *ids, *([] if self.adds_end else [start])]

    def start_token(self) -> int:
        """The token that begins a sequence; raises UnsupportedError where there is none."""
        if self.start is None:
            raise UnsupportedError(
                "neither the tokenizer nor the model has a token that begins a sequence",
                "give every text a context; measure a text as one stream, without --lines",
            )
        return self.start

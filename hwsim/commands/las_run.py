"""las-run: continue a prompt with a netlist; each token is printed as soon as it is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from compiler.netlist.model import Netlist
from hwsim.backends import DEFAULT, find
from hwsim.backends.backend import RUN_SECONDS
from hwsim.commands.options import Backend, NetlistFile, ReferenceModel, Timeout
from las_neuro.errors import ConfigError
from las_neuro.terminal import Json, Quiet, Version, command, print_error, print_facts, print_json

EXAMPLES = """
  las-run tiny_lm.h5 --prompt "The statement is used to"
  las-run tiny_lm.h5 --prompt "The" --reference examples/tiny_lm
  las-run tiny_lm.h5 --prompt "The" --max-new-tokens 4 --check step
"""
BROKEN = "\N{REPLACEMENT CHARACTER}"  # a decoder's text for an incomplete character

Prompt = Annotated[str | None, typer.Option(help="Text to continue.")]
TokenIds = Annotated[str | None, typer.Option("--tokens", help="Token ids instead, as 1,2,3.")]
MaxNewTokens = Annotated[int, typer.Option(min=1, help="Most tokens to add.")]
Check = Annotated[
    str | None, typer.Option(help="Second backend; exit 1 at the first spike that differs.")
]
CheckTokens = Annotated[int, typer.Option(min=1, help="Most tokens to check, prompt included.")]
Temperature = Annotated[float, typer.Option(help="0: the likeliest token; else draw.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the draw.")]


def run(
    netlist: NetlistFile,
    prompt: Prompt = None,
    tokens: TokenIds = None,
    max_new_tokens: MaxNewTokens = 48,
    backend: Backend = DEFAULT,
    check: Check = None,
    check_tokens: CheckTokens = 16,
    reference: ReferenceModel = None,
    temperature: Temperature = 0.0,
    seed: Seed = 0,
    timeout: Timeout = RUN_SECONDS,
    json: Json = False,
    quiet: Quiet = False,
    version: Version = False,
) -> None:
    """Let a netlist continue a prompt; the continuation is printed as it comes."""
    from hwsim import generate
    from hwsim.measure import continuation
    from hwsim.measure.reference import float_model
    from hwsim.measure.threads import limit_threads

    net, ids = generate.open_netlist(netlist), _ids(tokens)
    ids = generate.prompt_tokens(net, prompt, ids)
    for name in (backend, check or backend):
        find(name)
    model = float_model(reference, net)
    limit_threads(net)
    writer = Writer(net, ids, (lambda text: None) if json else _write)
    generation = generate.run(
        net,
        tokens=ids,
        max_new_tokens=max_new_tokens,
        backend=backend,
        temperature=temperature,
        seed=seed,
        timeout=timeout,
        on_token=writer.token,
    )
    record: dict[str, Any] = vars(generation) | {"backend": backend}
    if not json:
        _write("\n")
    if model:
        record["reference"] = continuation.greedy(net, model, generation, max_new_tokens)
    if check:
        both = backend, check
        record["check"] = continuation.check(net, both, generation, check_tokens, timeout)
    if json:
        print_json(record)
    elif not quiet:
        print_facts(_facts(record))
    if check and record["check"]["difference"]:
        print_error(f"{backend} and {check} differ: {record['check']['difference']['text']}")
        raise typer.Exit(1)


class Writer:
    """Prints the text that each token adds; without a tokenizer, the token ids."""

    def __init__(self, net: Netlist, prompt: Sequence[int], write: Callable[[str], None]) -> None:
        from hwsim.generate import tokenizer

        self.write = write
        self.reader = None if net.tokenizer is None else tokenizer(net)
        self.ids = list(prompt)
        self.printed = self._decoded()

    def token(self, token: int) -> None:
        self.ids.append(token)
        if self.reader is None:
            return self.write(f"{token} ")
        text = self._decoded()
        if text.endswith(BROKEN) or not text.startswith(self.printed):
            return None
        self.write(text[len(self.printed) :])
        self.printed = text

    def _decoded(self) -> str:
        return "" if self.reader is None else str(self.reader.decode(self.ids))


def _ids(tokens: str | None) -> list[int] | None:
    if tokens is None:
        return None
    try:
        return [int(token) for token in tokens.split(",")]
    except ValueError:
        raise ConfigError(f"--tokens {tokens!r}: not integers", "write them as 1,2,3") from None


def _write(text: str) -> None:
    """Print text; control characters other than line breaks and tabs are escaped."""
    safe = "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)
    typer.echo(safe, nl=False)


def _facts(record: dict[str, Any]) -> dict[str, str]:
    count, seconds = len(record["tokens"]), record["seconds"]
    facts = {"tokens": f"{count} in {seconds:.2f} s; stopped by {record['stop']}"}
    if "reference" in record:
        other = record["reference"]
        facts["reference"] = repr(other["text"] or other["tokens"])
        place = other["first_difference"]
        facts["agreement"] = "all tokens equal" if place is None else f"differ at new token {place}"
    if "check" in record and not record["check"]["difference"]:
        done = record["check"]
        facts["check"] = (
            f"{' and '.join(done['backends'])} agree on all {done['spikes']:,} spikes "
            f"of {done['tokens']} tokens"
        )
    return facts


main = command(run, EXAMPLES)

"""las-run, las-eval, las-audit, las-diff, las-inspect: their options and what they print.

The float model of `--reference` is the only thing here that is not in the netlist.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compiler.netlist.model import Netlist
from las_neuro.errors import ConfigError
from las_neuro.terminal import (
    Json,
    Quiet,
    Version,
    check_writable,
    command,
    print_error,
    print_facts,
    print_json,
    print_table,
    printable,
    progress_bars,
)

if TYPE_CHECKING:
    from las_neuro.graph import Graph

RUN_EXAMPLES = """
  las-run tiny_lm.h5 --prompt "The statement is used to"
  las-run tiny_lm.h5 --prompt "The" --reference examples/tiny_lm
  las-run tiny_lm.h5 --prompt "The" --max-new-tokens 4 --check step
"""
EVAL_EXAMPLES = """
  las-eval tiny_lm.h5 --text examples/tiny_lm/heldout.txt --reference examples/tiny_lm
  las-eval tiny_lm.h5 --text examples/tiny_lm/heldout.txt --max-tokens 512 --json
  las-eval tiny_lm.h5 --compare sdllm.h5 --text examples/tiny_lm/heldout.txt --reference examples/tiny_lm
"""  # noqa: E501
AUDIT_EXAMPLES = """
  las-audit tiny_lm.h5 --text examples/tiny_lm/heldout.txt -o audit.html
  las-audit tiny_lm.h5 --text examples/tiny_lm/heldout.txt -o audit.json
"""
DIFF_EXAMPLES = """
  las-diff examples/tiny_lm tiny_lm.h5 --text examples/tiny_lm/heldout.txt -o diff.html
  las-diff tiny_lm.h5 tiny_lm.h5 --backend-b step --text examples/tiny_lm/heldout.txt --max-tokens 8
"""
INSPECT_EXAMPLES = """
  las-inspect tiny_lm.h5
  las-inspect tiny_lm.h5 --all
"""

NetlistFile = Annotated[
    Path, typer.Argument(metavar="NETLIST", help="Netlist that las-compile wrote.")
]
Prompt = Annotated[str | None, typer.Option(help="Text to continue.")]
TokenIds = Annotated[str | None, typer.Option("--tokens", help="Token ids instead, as 1,2,3.")]
MaxNewTokens = Annotated[int, typer.Option(min=1, help="Most tokens to add.")]
Backend = Annotated[
    str, typer.Option(help="fast: by windows; step: by time steps; lava: Lava's CPU runtime.")
]
Check = Annotated[
    str | None, typer.Option(help="Second backend; exit 1 at the first spike that differs.")
]
CheckTokens = Annotated[int, typer.Option(min=1, help="Most tokens to check, prompt included.")]
ReferenceModel = Annotated[
    Path | None, typer.Option("--reference", help="The model compiled, to compare with in float32.")
]
Temperature = Annotated[float, typer.Option(help="0: the likeliest token; else draw.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the draw.")]
Timeout = Annotated[float, typer.Option(min=1, help="Most seconds of one run of Lava.")]
Text = Annotated[Path, typer.Option(help="UTF-8 text; encoders read one sentence a line.")]
EvalText = Annotated[Path | None, typer.Option("--text", help="UTF-8 text to measure on.")]
Tasks = Annotated[
    Path | None,
    typer.Option(help="Questions, one JSON object a line: context, choices, gold."),
]
Images = Annotated[
    Path | None,
    typer.Option(help="Floats [images, channels, height, width], as the model's processor gives."),
]
Lines = Annotated[
    bool, typer.Option("--lines", help="Each line is a sequence between start tokens.")
]
MaxTokens = Annotated[int, typer.Option(min=2, help="Most tokens to use; an image's are patches.")]
Report = Annotated[Path, typer.Option("--output", "-o", help="Report to write: .html or .json.")]
Depth = Annotated[
    Path | None,
    typer.Option(help="Write each node's error beside --reference: .html or .json."),
]
Others = Annotated[
    list[Path] | None,
    typer.Option("--compare", help="Another netlist of the model to set beside it; repeatable."),
]
ComparePage = Annotated[
    Path | None, typer.Option("--output", "-o", help="Comparison to write: .html or .json.")
]
Compared = Annotated[
    Path, typer.Argument(help="Model folder, .safetensors file, or netlist.", show_default=False)
]
Budget = Annotated[
    float | None,
    typer.Option(min=0, help="Largest relative error a node may carry; exit 1 beyond.  [0.01]"),
]
DiffReport = Annotated[
    Path | None, typer.Option("--output", "-o", help="Report to write: .html or .json.")
]
All = Annotated[bool, typer.Option("--all", help="List every population and synapse group.")]


def run(
    netlist: NetlistFile,
    prompt: Prompt = None,
    tokens: TokenIds = None,
    max_new_tokens: MaxNewTokens = 48,
    backend: Backend = "fast",
    check: Check = None,
    check_tokens: CheckTokens = 16,
    reference: ReferenceModel = None,
    temperature: Temperature = 0.0,
    seed: Seed = 0,
    timeout: Timeout = 600.0,
    json: Json = False,
    quiet: Quiet = False,
    version: Version = False,
) -> None:
    """Let a netlist continue a prompt; the continuation is printed as it comes."""
    from hwsim import generate
    from hwsim.commands import writing

    net, ids = generate.opened(netlist), _ids(tokens)
    ids = generate.prompt_tokens(net, prompt, ids)
    for name in (backend, check or backend):
        generate.check_backend(name)
    model = _reference(reference, net)
    generate.spare_threads(net)
    writer = writing.Writer(net, ids, (lambda text: None) if json else _write)
    made = generate.run(
        net,
        tokens=ids,
        max_new_tokens=max_new_tokens,
        backend=backend,
        temperature=temperature,
        seed=seed,
        timeout=timeout,
        on_token=writer.token,
    )
    record: dict[str, Any] = vars(made) | {"backend": backend}
    if not json:
        _write("\n")
    if model:
        record["reference"] = writing.greedy(net, model, made, max_new_tokens)
    if check:
        record["check"] = writing.check(net, (backend, check), made, check_tokens, timeout)
    if json:
        print_json(record)
    elif not quiet:
        _print_run(record)
    if check and record["check"]["difference"]:
        print_error(f"{backend} and {check} differ: {record['check']['difference']['text']}")
        raise typer.Exit(1)


def evaluate(
    netlist: NetlistFile,
    text: EvalText = None,
    tasks: Tasks = None,
    images: Images = None,
    reference: ReferenceModel = None,
    lines: Lines = False,
    depth: Depth = None,
    compare: Others = None,
    output: ComparePage = None,
    max_tokens: MaxTokens = 4096,
    json: Json = False,
    quiet: Quiet = False,
    version: Version = False,
) -> None:
    """Measure a netlist on text, questions or images, and how near it stays to its float model.

    A decoder reads a text as one stream, in windows as long as its context; an encoder reads one
    sentence a line.  A question is answered by the likeliest of its choices.
    """
    from hwsim import generate
    from hwsim.commands import differing, evaluating

    if compare or output:
        from hwsim.commands import comparing

        alone = {"--tasks": tasks, "--images": images, "--depth": depth}
        source = comparing.check_request(compare or (), text, reference, alone, output)
        nets = comparing.open_alike(paths := [netlist, *(compare or ())])
        beside = _reference(reference, nets[0])
        with progress_bars(quiet) as tell:
            made = comparing.compare(
                paths, nets, source, beside, limit=max_tokens, lines=lines, progress=tell
            )
        return comparing.show(made, output, json, quiet)
    evaluating.check_sources(text, tasks, images, lines)
    if depth:
        check_writable(depth)
    net = generate.opened(netlist)
    evaluating.check_reads(net, tasks, images)
    model = _reference(reference, net)
    with progress_bars(quiet) as tell:
        if depth:
            differing.write_depth(
                net, reference, text, depth, limit=max_tokens, lines=lines, progress=tell
            )
        if text:
            figures = evaluating.text_figures(net, text, model, max_tokens, lines, tell)
        elif images:
            figures = evaluating.image_figures(net, images, model, max_tokens, tell)
        else:
            assert tasks is not None
            figures = evaluating.task_figures(net, tasks, model, tell)
    if json:
        print_json(figures)
    else:
        print_table(evaluating.table(figures))


def audit(
    netlist: NetlistFile,
    text: Text,
    output: Report = Path("audit.html"),
    max_tokens: MaxTokens = 512,
    json: Annotated[bool, typer.Option("--json", help="Write a .json beside the page.")] = False,
    quiet: Quiet = False,
    version: Version = False,
) -> None:
    """Run a netlist on a text, count everything, and write what it cost."""
    from hwsim import generate
    from hwsim.commands import accounting
    from hwsim.measure.evaluate import read_sequences

    check_writable(output)
    net = generate.opened(netlist)
    sequences = read_sequences(net, text, max_tokens)
    with progress_bars(quiet) as tell:
        made = accounting.account(net, sequences, f"{netlist.name} on {text.name}", tell)
    written = accounting.write(made, output, json)
    if not quiet:
        print_facts(accounting.headline(made))
        print_facts({"written": ", ".join(map(str, written))})


def diff(
    a: Compared,
    b: Compared,
    text: Text,
    backend_a: Backend = "fast",
    backend_b: Backend = "fast",
    budget: Budget = None,
    max_tokens: MaxTokens = 512,
    output: DiffReport = None,
    timeout: Timeout = 600.0,
    quiet: Quiet = False,
    version: Version = False,
) -> None:
    """Find where B differs from A: the error of every node along the depth, and its source.

    Models run in float32, netlists on their backend.  Exit 1 where a given budget is broken, or
    where one netlist differs from itself.
    """
    from hwsim.commands import differing
    from hwsim.measure.depth_error import BUDGET

    if output is not None:
        check_writable(output)
    with progress_bars(quiet) as tell:
        made = differing.diff(
            a,
            b,
            text,
            backends=(backend_a, backend_b),
            max_tokens=max_tokens,
            budget=BUDGET if budget is None else budget,
            timeout=timeout,
            progress=tell,
        )
    if output is not None:
        differing.write(made, output)
    if not quiet:
        print_table(differing.table(made))
        print_facts(differing.facts(made) | ({"written": str(output)} if output else {}))
    if (budget is not None and made.over) or (made.same and made.differ):
        raise typer.Exit(1)


def inspect(
    netlist: NetlistFile,
    everything: All = False,
    json: Json = False,
    version: Version = False,
) -> None:
    """Show what a netlist holds."""
    from compiler.netlist.hdf5 import VERSION
    from compiler.netlist.text import text
    from hwsim import generate
    from hwsim.commands.contents import contents, lines

    net = generate.opened(netlist)
    found = contents(net, VERSION, netlist.stat().st_size)
    if everything and json:
        found["text"] = text(net).splitlines()
    if json:
        return print_json(found)
    listed = text(net).splitlines() if everything else []
    for line in [*lines(found), *listed]:
        typer.echo(printable(line))


evaluate.__name__ = "eval"  # the command's name is a builtin's
run_main = command(run, RUN_EXAMPLES)
eval_main = command(evaluate, EVAL_EXAMPLES)
audit_main = command(audit, AUDIT_EXAMPLES)
diff_main = command(diff, DIFF_EXAMPLES)
inspect_main = command(inspect, INSPECT_EXAMPLES)


def _reference(path: Path | None, net: Netlist) -> Any:
    """The float model as a function of tokens [B, S] or images [B, channels, height, width].

    It is proved to be of the netlist's kind.
    """
    if path is None:
        return None
    from las_neuro.architectures import draw
    from las_neuro.checkpoint import Checkpoint

    checkpoint = Checkpoint.open(path)
    graph = draw(checkpoint)
    made, wanted = (
        _described(graph, graph["output"]["kind"]),
        _described(net, net.output_kind),
    )
    if made != wanted:
        raise ConfigError(
            f"{path}: is {made}, the netlist {wanted}",
            "name the model that the netlist was compiled from",
        )
    from las_neuro.reference.model import FloatModel  # torch is slow to import

    model = FloatModel.load(checkpoint)
    return getattr(model, net.output_kind)  # logits, hidden or classes


def _described(model: Graph | Netlist, output: str) -> str:
    """What a netlist has in common with the model it was compiled from."""
    reads = f"{model.vocabulary} words"
    if model.pixels:
        reads = f"{model.context} tokens of {model.pixels} pixels"
    return f"{model.family} with {reads} that gives {output}"


def _ids(tokens: str | None) -> list[int] | None:
    if tokens is None:
        return None
    try:
        return [int(token) for token in tokens.split(",")]
    except ValueError:
        raise ConfigError(f"--tokens {tokens!r}: not integers", "write them as 1,2,3") from None


def _write(text: str) -> None:
    """Text as it comes; it may break lines, but not move the cursor."""
    shown = "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)
    typer.echo(shown, nl=False)


def _print_run(record: dict[str, Any]) -> None:
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
    print_facts(facts)

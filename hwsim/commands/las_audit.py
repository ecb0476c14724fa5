"""las-audit: the costs of a netlist on a text, as a page or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwsim.commands.options import MaxTokens, NetlistFile, Text
from hwsim.commands.report_file import write_report_file
from las_neuro.terminal import Quiet, Version, check_writable, command, print_facts, progress_bars

if TYPE_CHECKING:
    from hwsim.accounts import Audit

EXAMPLES = """
  las-audit tiny_lm.h5 --text examples/tiny_lm/heldout.txt -o audit.html
  las-audit tiny_lm.h5 --text examples/tiny_lm/heldout.txt -o audit.json
"""

Output = Annotated[Path, typer.Option("--output", "-o", help="Report to write: .html or .json.")]
Profiles = Annotated[
    list[Path] | None,
    typer.Option("--profile", help="TOML file of another energy profile; repeatable."),
]
AlsoJson = Annotated[bool, typer.Option("--json", help="Write a .json beside the page.")]


def audit(
    netlist: NetlistFile,
    text: Text,
    output: Output = Path("audit.html"),
    profile: Profiles = None,
    max_tokens: MaxTokens = 512,
    json: AlsoJson = False,
    quiet: Quiet = False,
    version: Version = False,
) -> None:
    """Run a netlist on a text, count everything, and write what the run costs."""
    from hwsim.accounts import render
    from hwsim.energy import load_with_builtin
    from hwsim.generate import open_netlist
    from hwsim.measure.account import account
    from hwsim.measure.evaluate import read_sequences

    own = profile or []
    outputs = [output]
    if json and output.suffix != ".json":
        outputs.append(output.with_suffix(".json"))
    for path in outputs:
        check_writable(path, (netlist, text, *own))
    profiles = load_with_builtin(own)
    net = open_netlist(netlist)
    sequences = read_sequences(net, text, max_tokens)
    with progress_bars(quiet) as tell:
        costs = account(net, sequences, f"{netlist.name} on {text.name}", tell, profiles)
    for path in outputs:
        write_report_file(path, costs.to_dict(), lambda: render(costs))
    if not quiet:
        print_facts(headline(costs))
        print_facts({"written": ", ".join(map(str, outputs))})


def headline(costs: Audit) -> dict[str, str]:
    """The most important figures, each with its label: measured, exact or estimate."""
    total = costs.total
    facts = {
        "run": f"{costs.tokens:,} tokens in {costs.sequences:,} sequences",
        "spikes": f"{costs.per_token(total.spikes):,.0f} per token (measured)",
        "synaptic events": f"{costs.per_token(total.synaptic_event):,.0f} per token (measured)",
        "updates": f"{costs.per_token(total.update_active):,.0f} per token (exact)",
        "clamps, wraps": f"{total.clamps:,} clamps, {total.wraps:,} wraps (measured)",
        "memory": f"{costs.memory.total_bytes / 1e6:,.1f} MB (exact)",
        "steps": f"{costs.schedule.steps:,} per token (exact)",
    }
    if costs.site is not None:
        site = costs.site
        facts["placed on"] = f"{site.target}: {site.cores:,} cores, {site.chips:,} chips (exact)"
    if costs.traffic is not None:
        hops = costs.traffic["hops_east_west"] + costs.traffic["hops_north_south"]
        facts["hops"] = f"{costs.per_token(hops):,.0f} per token (measured)"
    if costs.schedule.latency is not None:
        milliseconds = costs.schedule.latency.seconds * 1e3
        most = costs.schedule.slowest
        upto = f" to {most.seconds * 1e3:,.2f}" if most else ""
        facts["latency"] = f"{milliseconds:,.2f}{upto} ms per token (estimate)"
    for bill in costs.energy:
        microjoules = costs.per_token(bill.joules) * 1e6
        facts[f"energy, {bill.profile}"] = f"{microjoules:,.2f} µJ per token (estimate)"
    return facts


main = command(audit, EXAMPLES)

"""accounting: run a netlist on a text with everything counted; the audit's headline as facts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.netlist.model import Netlist
from hwsim.generate import opened
from hwsim.measure.evaluate import Progress, batched, read_sequences

if TYPE_CHECKING:
    from hwsim.accounts import Audit


def audit(netlist: Netlist | Path | str, text: Path | str, *, max_tokens: int = 512) -> Audit:
    """What a netlist, or its file, costs on the first tokens of a text: `las-audit` in Python."""
    net, path = opened(netlist), Path(text)
    title = f"{net.family} on {path.name}"
    return account(net, read_sequences(net, path, max_tokens), title, lambda *_: None)


def account(
    net: Netlist, sequences: Sequence[Sequence[int]], title: str, progress: Progress
) -> Audit:
    """Run every sequence once and audit it; traffic where the netlist is placed."""
    from hwsim import accounts
    from hwsim.accounts.traffic import hops
    from hwsim.backends.fast.engine import Engine

    engine = Engine(net)
    batches = list(batched(sequences, net.populations[net.output].n))
    lengths: list[int] = []
    for done, (_, tokens) in enumerate(batches):
        progress("run", done, len(batches))
        engine.reset()
        engine.run(tokens)
        lengths += [tokens.shape[1]] * tokens.shape[0]
    progress("run", len(batches), len(batches))
    traffic = None if net.placement is None else hops(net, engine.counters)
    return accounts.audit(net, engine.counters, traffic, lengths=lengths, title=title)


def write(made: Audit, output: Path, also_json: bool) -> list[Path]:
    """Write the page, or plain values where the name ends in .json; both where asked."""
    from hwsim.accounts import write_report
    from las_neuro.files import write_atomic

    written = [output]
    if also_json and output.suffix != ".json":
        written.append(output.with_suffix(".json"))
    for path in written:
        if path.suffix == ".json":
            write_atomic(path, json.dumps(made.to_dict(), indent=2) + "\n")
        else:
            write_report(made, path)
    return written


def headline(made: Audit) -> dict[str, str]:
    """The figures everyone asks for first, each with how it came about."""
    total = made.total
    facts = {
        "run": f"{made.tokens:,} tokens in {made.sequences:,} sequences",
        "spikes": f"{made.per_token(total.spikes):,.0f} a token (measured)",
        "synaptic events": f"{made.per_token(total.synaptic_event):,.0f} a token (measured)",
        "updates": f"{made.per_token(total.update_active):,.0f} a token (exact)",
        "clamps, wraps": f"{total.clamps:,} clamps, {total.wraps:,} wraps (measured)",
        "memory": f"{made.memory.total_bytes / 1e6:,.1f} MB (exact)",
        "steps": f"{made.schedule.steps:,} a token (exact)",
    }
    if made.site is not None:
        site = made.site
        facts["placed on"] = f"{site.target}: {site.cores:,} cores, {site.chips:,} chips (exact)"
    if made.traffic is not None:
        hops = made.traffic["hops_east_west"] + made.traffic["hops_north_south"]
        facts["hops"] = f"{made.per_token(hops):,.0f} a token (measured)"
    if made.schedule.latency is not None:
        facts["latency"] = f"{made.schedule.latency.seconds * 1e3:,.2f} ms a token (estimate)"
    for one in made.energy:
        spent = made.per_token(one.joules) * 1e6
        facts[f"energy, {one.profile}"] = f"{spent:,.2f} µJ a token (estimate)"
    return facts

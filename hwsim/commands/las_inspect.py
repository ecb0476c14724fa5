"""las-inspect: the contents of a netlist, in counts."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hwsim.commands.options import NetlistFile
from las_neuro.terminal import Json, Version, command, print_json, printable

EXAMPLES = """
  las-inspect tiny_lm.h5
  las-inspect tiny_lm.h5 --all
"""

All = Annotated[bool, typer.Option("--all", help="List every population and synapse group.")]


def inspect(
    netlist: NetlistFile,
    everything: All = False,
    json: Json = False,
    version: Version = False,
) -> None:
    """Show what a netlist holds."""
    from compiler.netlist.hdf5 import VERSION
    from compiler.netlist.text import text
    from hwsim.accounts.contents import contents
    from hwsim.generate import open_netlist

    net = open_netlist(netlist)
    entries = contents(net, VERSION, netlist.stat().st_size)
    if everything and json:
        entries["text"] = text(net).splitlines()
    if json:
        return print_json(entries)
    details = text(net).splitlines() if everything else []
    for line in [*lines(entries), *details]:
        typer.echo(printable(line))


def lines(entries: dict[str, Any]) -> list[str]:
    """The contents as text, headings with their facts below, like `ncdump -h`."""
    form, model, placement = entries["format"], entries["model"], entries["placement"]
    schedule, memory = entries["schedule"], entries["memory"]
    phases = " ".join(f"{first}..{stop - 1}" for first, stop in schedule["phases"])
    text = [
        f"{form['name']}, version {form['version']}, {form['bytes']:,} bytes",
        "model:",
        f"  family {model['family']}, {'decoder' if model['causal'] else 'encoder'}",
        f"  context {model['context']:,} tokens, vocabulary {model['vocabulary']:,}",
        f"  output {model['output']} ({model['output_kind']})",
        f"  tokenizer {model['tokenizer_bytes']:,} bytes",
        "target:",
        "  not placed"
        if placement is None
        else f"  {placement['target']}: {placement['cores']:,} cores on "
        f"{placement['chips']:,} chips, "
        f"{placement['tiles']:,} tiles, {placement['blocks']:,} blocks",
        "schedule:",
        f"  {schedule['steps_per_token']:,} steps per token; phases {phases}",
        "compartments by kind:",
    ]
    for row in entries["kinds"]:
        silicon = f"Lava's {row['lava']}" if row["lava"] else "custom microcode on a chip"
        text.append(f"{_counts(row)}  {silicon}")
    text.append("compartments by layer (-1: outside the layers):")
    text += [_counts(row) for row in entries["layers"]]
    text.append("synapses by form:")
    for row in entries["synapses"]:
        text.append(f"  {row['of']:<12} {row['groups']:>7,} groups {row['synapses']:>15,}")
    text.append("memory:")
    text += [
        f"  {name.removesuffix('_bytes'):<12} {size:>15,} bytes" for name, size in memory.items()
    ]
    text.append("provenance:")
    return text + _tree(entries["provenance"], "  ")


def _counts(row: dict[str, Any]) -> str:
    return f"  {row['of']:<12} {row['populations']:>7,} populations {row['compartments']:>13,}"


def _tree(values: dict[str, Any], indent: str) -> list[str]:
    entries: list[str] = []
    for name, value in values.items():
        if isinstance(value, dict):
            entries += [f"{indent}{name}:", *_tree(value, indent + "  ")]
        else:
            entries.append(f"{indent}{name}: {value}")
    return entries


main = command(inspect, EXAMPLES)

"""account: run a netlist on a text with all counters on, and audit the counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.netlist.model import Netlist
from hwsim.backends import DEFAULT, find
from hwsim.backends.backend import run_whole
from hwsim.energy import Profile, load_with_builtin
from hwsim.generate import open_netlist
from hwsim.measure.evaluate import batched, read_sequences
from las_neuro.progress import Progress, silent

if TYPE_CHECKING:
    from hwsim.accounts import Audit


def audit(
    netlist: Netlist | Path | str,
    text: Path | str,
    *,
    max_tokens: int = 512,
    profiles: Sequence[Path | str] = (),
) -> Audit:
    """Costs of a netlist, or of its file, on the first tokens of a text: `las-audit` in Python.

    profiles: TOML files of energy profiles to use in addition to the built-in ones.
    Raises CalibrationError for a text that cannot be read, ConfigError for a faulty profile.
    """
    net, path = open_netlist(netlist), Path(text)
    priced = load_with_builtin(profiles)
    sequences = read_sequences(net, path, max_tokens)
    return account(net, sequences, f"{net.family} on {path.name}", profiles=priced)


def account(
    net: Netlist,
    sequences: Sequence[Sequence[int]],
    title: str,
    progress: Progress = silent,
    profiles: Sequence[Profile] | None = None,
) -> Audit:
    """Run every sequence once and audit the counts; traffic only where the netlist is placed.

    profiles: energy profiles; None: the built-in ones.
    """
    from hwsim import accounts
    from hwsim.accounts.traffic import hops

    backend = find(DEFAULT)
    session = backend.open(net, count=True)
    batches = list(batched(sequences, net.populations[net.output].n))
    lengths: list[int] = []
    for done, (_, tokens) in enumerate(batches):
        progress("run", done, len(batches))
        run_whole(session, backend.limits, tokens)
        lengths += [tokens.shape[1]] * tokens.shape[0]
    progress("run", len(batches), len(batches))
    traffic = None if net.placement is None else hops(net, session.counters)
    return accounts.audit(net, session.counters, traffic, profiles, lengths=lengths, title=title)

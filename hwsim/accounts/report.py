"""The audit as one HTML file that opens without a network."""

from __future__ import annotations

import json
from pathlib import Path

from hwsim.accounts import figures
from hwsim.accounts.audit import LABELS, Audit
from hwsim.accounts.pages import fill
from las_neuro.files import write_atomic

TEMPLATE = "report.html.jinja"


def render(audit: Audit) -> str:
    """The whole page; names that come from files are escaped."""
    return fill(
        TEMPLATE,
        audit=audit,
        labels=LABELS,
        provenance={key: _plain(value) for key, value in audit.provenance.items()},
        by_layer=figures.by_layer(audit),
        energy_parts=figures.energy(audit),
        updates=figures.updates(audit),
    )


def write_report(audit: Audit, path: Path) -> None:
    """Write the page, completely or not at all; raises `OutputError` where that fails."""
    write_atomic(path, render(audit))


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)

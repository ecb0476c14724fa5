"""The audit as one HTML file that opens without a network."""

from __future__ import annotations

import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from compiler.netlist.files import write_atomic
from hwsim.accounts import figures, wording
from hwsim.accounts.audit import LABELS, Audit

TEMPLATE = "report.html.jinja"


def render(audit: Audit) -> str:
    """The whole page.  Names that came from files are escaped; figures and plotly are ours."""
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    pages.filters.update(
        count=wording.count,
        quantity=wording.quantity,
        share=wording.share,
        size=wording.size,
        times=wording.times,
    )
    return pages.get_template(TEMPLATE).render(
        audit=audit,
        labels=LABELS,
        provenance={key: _plain(value) for key, value in audit.provenance.items()},
        plotly=Markup(figures.script()),
        by_layer=Markup(figures.by_layer(audit)),
        energy_parts=Markup(figures.energy(audit)),
        updates=Markup(figures.updates(audit)),
    )


def write_report(audit: Audit, path: Path) -> None:
    """Write the page, whole or not at all; `OutputError` says what was in the way."""
    write_atomic(path, render(audit))


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)

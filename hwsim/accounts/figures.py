"""The figures of the audit page.

Text and lines get their colours from the page's light or dark theme.  The colours of bars are Okabe
and Ito's, which colour-blind readers can distinguish and which are legible on both themes.
"""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup
from plotly.subplots import make_subplots

from hwsim.accounts.audit import Audit
from hwsim.accounts.pages import FONT, embedded
from hwsim.accounts.wording import quantity
from hwsim.energy import counts

BLUE, ORANGE, GREEN, RED, SKY, PURPLE, YELLOW, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#56B4E9",
    "#CC79A7",
    "#F0E442",
    "#8C8C8C",
)
# Parts of the energy in stacking order.
COLOURS = {
    counts.EVENTS: BLUE,
    counts.WRITES: SKY,
    counts.ACTIVE: ORANGE,
    counts.ARITHMETIC: GREEN,
    counts.STATE: PURPLE,
    counts.MESH: RED,
    counts.STATIC: YELLOW,
    counts.IDLE: GREY,
}
ROW = 34  # pixels of a horizontal bar


def by_layer(audit: Audit) -> Markup:
    """Synaptic events, binary and graded, and spikes of each layer, per token."""
    names = [row.name.removeprefix("layer ").replace(" the layers", "") for row in audit.layers]
    figure = make_subplots(
        rows=2,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.12,
        subplot_titles=("synaptic events per token", "spikes per token"),
    )
    binary = [audit.per_token(row.event_add) for row in audit.layers]
    graded = [audit.per_token(row.event_multiply) for row in audit.layers]
    spikes = [audit.per_token(row.spikes) for row in audit.layers]
    figure.add_trace(go.Bar(x=names, y=binary, name="binary events", marker_color=BLUE), 1, 1)
    figure.add_trace(go.Bar(x=names, y=graded, name="graded events", marker_color=SKY), 1, 1)
    figure.add_trace(go.Bar(x=names, y=spikes, name="spikes", marker_color=ORANGE), 2, 1)
    figure.update_xaxes(type="category", tickangle=0)
    figure.update_xaxes(title_text="layer", row=2)
    figure.update_annotations(font_size=13)
    figure.update_traces(
        hovertemplate="layer %{x}<br>%{y:,.4s} %{fullData.name} per token<extra></extra>"
    )
    figure.update_yaxes(tickformat="~s")
    return _bars(figure, "by-layer", 440)


def energy(audit: Audit) -> Markup:
    """Each part's share of the energy, for each profile."""
    figure = go.Figure()
    labels = [
        f"{bill.title}<br>{quantity(audit.per_token(bill.joules), 'J')} per token"
        for bill in audit.energy
    ]
    parts: dict[str, tuple[list[float], list[float]]] = {}
    for position, bill in enumerate(audit.energy):
        for line in bill.lines:
            part = counts.STATIC if line.what == counts.STATIC_POWER else counts.PARTS[line.what]
            shares, joules = parts.setdefault(part, ([0.0] * len(labels), [0.0] * len(labels)))
            shares[position] += 100 * line.joules / bill.joules if bill.joules else 0.0
            joules[position] += audit.per_token(line.joules)
    for part in filter(parts.__contains__, COLOURS):
        shares, joules = parts[part]
        figure.add_trace(
            go.Bar(
                y=labels,
                x=shares,
                customdata=joules,
                name=part,
                orientation="h",
                marker_color=COLOURS[part],
                hovertemplate=part + ": %{x:.1f} %, %{customdata:.3s}J per token<extra></extra>",
            )
        )
    figure.update_xaxes(range=[0, 100], ticksuffix=" %")
    figure.update_yaxes(autorange="reversed")
    return _bars(figure, "energy-parts", 130 + (ROW + 16) * len(labels), flat=True)


def updates(audit: Audit) -> Markup:
    """Compartment updates of each kind, active and idle, per token."""
    rows = sorted(audit.kinds, key=lambda row: row.update_active + row.update_idle)
    figure = go.Figure()
    for name, field, colour in (("active", "update_active", ORANGE), ("idle", "update_idle", GREY)):
        amounts = [audit.per_token(getattr(row, field)) for row in rows]
        figure.add_trace(
            go.Bar(
                y=[row.name for row in rows],
                x=amounts,
                name=name,
                orientation="h",
                marker_color=colour,
                hovertemplate=f"%{{y}}: %{{x:,.4s}} {name} updates per token<extra></extra>",
            )
        )
    figure.update_xaxes(tickformat="~s")
    return _bars(figure, "updates", 120 + ROW * len(rows), flat=True)


def _bars(figure: Any, name: str, height: int, *, flat: bool = False) -> Markup:
    """A figure of stacked bars; `flat`: horizontal ones."""
    figure.update_xaxes(showgrid=flat)
    figure.update_yaxes(showgrid=not flat)
    return embedded(
        figure,
        name,
        height,
        barmode="stack",
        bargap=0.35,
        margin_t=40 if flat else 64,
        legend_traceorder="normal",
        legend_y=1.0 if flat else 1.1,
        hoverlabel_font_family=FONT,
    )

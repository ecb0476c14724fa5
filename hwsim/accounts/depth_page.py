"""depth_page: the error along a model's depth as one HTML file that opens without a network."""

from __future__ import annotations

import math

import plotly.graph_objects as go
from markupsafe import Markup

from hwsim.accounts import wording
from hwsim.accounts.depth_error import DepthComparison, NodeError, layer_name
from hwsim.accounts.figures import BLUE, GREY, ORANGE, PURPLE, RED
from hwsim.accounts.pages import embedded, fill, tame

TEMPLATE = "depth.html.jinja"
LEAST = 1e-8  # float32's own rounding; smaller errors are drawn at this value


def render_depth(comparison: DepthComparison) -> str:
    """The whole page; names that come from files are escaped."""
    return fill(TEMPLATE, comparison=comparison, figure=along_depth(comparison))


def along_depth(comparison: DepthComparison) -> Markup:
    """Figure of every node's carried and added error in depth order; layers are shaded in turn."""
    rows = comparison.rows
    figure = go.Figure()
    _line(figure, rows, [row.carried for row in rows], "carried to here", BLUE)
    if any(row.added is not None for row in rows):
        _dots(figure, rows, [row.added for row in rows], "added here", ORANGE)
    cut = [i for i, row in enumerate(rows) if row.clamps or row.wraps]
    if cut:
        figure.add_trace(
            go.Scatter(
                x=cut,
                y=[_height(rows[i].carried) for i in cut],
                mode="markers",
                marker={"color": RED, "symbol": "x", "size": 9},
                name="clamps or wraps",
                hoverinfo="skip",
            )
        )
    figure.add_trace(
        go.Scatter(
            x=[-0.5, len(rows) - 0.5],
            y=[_height(comparison.budget)] * 2,
            mode="lines",
            line={"color": PURPLE, "dash": "dash", "width": 1.5},
            name=f"budget {comparison.budget:g}",
            hoverinfo="skip",
        )
    )
    starts = [i for i, row in enumerate(rows) if i == 0 or row.layer != rows[i - 1].layer]
    spans = list(zip(starts, [*starts[1:], len(rows)], strict=True))
    for start, end in spans[1::2]:
        figure.add_vrect(x0=start - 0.5, x1=end - 0.5, fillcolor=GREY, opacity=0.12, line_width=0)
    names = [layer_name(rows[start].layer) for start in starts]
    centres = [(start + end - 1) / 2 for start, end in spans]
    figure.update_xaxes(tickvals=centres, ticktext=names, tickangle=0, title_text="layer")
    figure.update_xaxes(range=[-0.5, len(rows) - 0.5], showgrid=False)
    figure.update_yaxes(type="log", dtick=1, exponentformat="power", title_text="relative error")
    return embedded(figure, "along-depth", 460, hovermode="closest")


def _line(
    figure: go.Figure, rows: list[NodeError], errors: list[float], name: str, colour: str
) -> None:
    figure.add_trace(
        go.Scatter(
            x=list(range(len(rows))),
            y=[_height(error) for error in errors],
            customdata=_labels(rows, errors),
            mode="lines",
            line={"color": colour, "width": 2},
            name=name,
            hovertemplate=HOVER,
        )
    )


def _dots(
    figure: go.Figure, rows: list[NodeError], errors: list[float | None], name: str, colour: str
) -> None:
    known = [(i, error) for i, error in enumerate(errors) if error is not None]
    figure.add_trace(
        go.Scatter(
            x=[i for i, _ in known],
            y=[_height(error) for _, error in known],
            customdata=_labels([rows[i] for i, _ in known], [error for _, error in known]),
            mode="markers",
            marker={"color": colour, "size": 5},
            name=name,
            hovertemplate=HOVER,
        )
    )


HOVER = "%{customdata[0]}<br>%{customdata[1]}: %{customdata[2]} %{fullData.name}<extra></extra>"


def _labels(rows: list[NodeError], errors: list[float]) -> list[list[str]]:
    return [
        [tame(row.node), row.op, wording.error(error)]
        for row, error in zip(rows, errors, strict=True)
    ]


def _height(error: float) -> float | None:
    return max(error, LEAST) if math.isfinite(error) else None

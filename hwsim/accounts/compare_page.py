"""compare_page: netlists side by side as one HTML file that opens without a network."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from markupsafe import Markup

from hwsim.accounts import wording
from hwsim.accounts.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY
from hwsim.accounts.pages import embedded, fill, tame
from hwsim.accounts.side_by_side import NAMES, SideBySide, columns

TEMPLATE = "compare.html.jinja"
LEAST = 1e-10  # smaller errors are rounding errors, and are drawn at this value
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED, SKY)
MARGIN = 0.3  # decades left free around the points, for their labels
WIDTH, HEIGHT = 1000, 460  # of the figure, in pixels
MARKER, LETTER, LINE = 8, 7.5, 16  # pixels: half a marker, a letter's width, a line's height
PLACES = {  # a label's place beside its marker: steps to the right, and up
    "top center": (0, 1),
    "bottom center": (0, -1),
    "middle right": (1, 0),
    "middle left": (-1, 0),
    "top right": (1, 1),
    "bottom right": (1, -1),
    "top left": (-1, 1),
    "bottom left": (-1, -1),
}
Point = tuple[float, float]  # synaptic events per token, error


def render_comparison(comparison: SideBySide) -> str:
    """The whole page; names that come from files are escaped."""
    return fill(
        TEMPLATE,
        comparison=comparison,
        names=NAMES,
        columns=sum(columns(comparison), ()),
        figure=trade(comparison),
    )


def trade(comparison: SideBySide) -> Markup:
    """Figure of error over synaptic events per token; a line joins the Pareto-optimal netlists."""
    points = [(max(row.events, 1.0), _height(row.error)) for row in comparison.rows]
    spans = [_span([point[axis] for point in points]) for axis in (0, 1)]
    front = sorted(comparison.front, key=lambda i: (points[i][0], -points[i][1]))
    figure = go.Figure()
    figure.add_trace(
        go.Scatter(
            x=[points[i][0] for i in front],
            y=[points[i][1] for i in front],
            mode="lines",
            line={"color": GREY, "width": 1.5, "dash": "dot"},
            name="none is better in both",
            hoverinfo="skip",
        )
    )
    places = label_places(points, comparison.labels, spans)
    methods = [str(row.options.get("system", "unknown")) for row in comparison.rows]
    for number, method in enumerate(dict.fromkeys(methods)):
        members = [i for i, name in enumerate(methods) if name == method]
        colour = COLOURS[number % len(COLOURS)]
        figure.add_trace(_markers(comparison, members, points, places, colour, tame(method)))
    figure.update_xaxes(title_text="synaptic events per token", **_ticks(spans[0], "~s"))
    figure.update_yaxes(title_text=comparison.measure, **_ticks(spans[1], "~g"))
    return embedded(figure, "trade", HEIGHT, hovermode="closest")


def _markers(
    comparison: SideBySide,
    members: Sequence[int],
    points: Sequence[Point],
    places: Sequence[str],
    colour: str,
    name: str,
) -> go.Scatter:
    """Markers of one system's netlists; hollow where another netlist beats them."""
    labels, front = comparison.labels, comparison.front
    order = sorted(members, key=lambda i: i not in front)  # the legend shows the first symbol
    return go.Scatter(
        x=[points[i][0] for i in order],
        y=[points[i][1] for i in order],
        text=[tame(labels[i]) for i in order],
        textposition=[places[i] for i in order],
        customdata=[
            [wording.error(comparison.rows[i].error), wording.count(comparison.rows[i].events)]
            for i in order
        ],
        mode="markers+text",
        marker={
            "color": colour,
            "size": 11,
            "symbol": ["circle" if i in front else "circle-open" for i in order],
            "line": {"color": colour, "width": 2},
        },
        cliponaxis=False,
        name=name,
        hovertemplate="%{text}<br>error %{customdata[0]}<br>"
        "%{customdata[1]} synaptic events per token<extra></extra>",
    )


def label_places(
    points: Sequence[Point], labels: Sequence[str], spans: Sequence[tuple[float, float]]
) -> list[str]:
    """Place of each label beside its marker, without overlap of markers or earlier labels.

    spans: lowest and highest exponent of both axes.  Returns keys of PLACES; the first one where no
    place is free.
    """
    pixels = [
        tuple(
            size * (math.log10(value) - low) / (high - low) if math.isfinite(value) else -1e6
            for value, (low, high), size in zip(point, spans, (WIDTH, HEIGHT), strict=True)
        )
        for point in points
    ]
    obstacles = [(x - MARKER, x + MARKER, y - MARKER, y + MARKER) for x, y in pixels]
    places = []
    for (x, y), label in zip(pixels, labels, strict=True):
        half = LETTER * len(label) / 2
        boxes = {
            place: (x + dx * (half + MARKER) - half, x + dx * (half + MARKER) + half, *_line(y, dy))
            for place, (dx, dy) in PLACES.items()
        }
        free = (place for place, box in boxes.items() if not any(_meet(box, b) for b in obstacles))
        places.append(next(free, next(iter(PLACES))))
        obstacles.append(boxes[places[-1]])
    return places


def _line(y: float, side: int) -> tuple[float, float]:
    """Lowest and highest pixel of a line of text on one side of a marker."""
    middle = y + side * (LINE / 2 + MARKER)
    return middle - LINE / 2, middle + LINE / 2


def _meet(a: Sequence[float], b: Sequence[float]) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest exponent of a log axis, with room around the values."""
    known = [math.log10(value) for value in values if math.isfinite(value)] or [0.0]
    return min(known) - MARGIN, max(known) + MARGIN


def _ticks(span: tuple[float, float], tick_format: str) -> dict[str, object]:
    """A log axis with ticks at powers of ten; on short axes also at 2 and 5 times these."""
    low, high = span
    steps = (1, 2, 5) if high - low < 3 else (1,)
    powers = range(math.floor(low), math.ceil(high) + 1)
    every = [step * 10.0**power for power in powers for step in steps]
    ticks = [value for value in every if low <= math.log10(value) <= high]
    return {"type": "log", "range": [low, high], "tickvals": ticks, "tickformat": tick_format}


def _height(error: float) -> float:
    """An error as a log axis can show it: at least LEAST, NaN if infinite."""
    return max(error, LEAST) if math.isfinite(error) else math.nan

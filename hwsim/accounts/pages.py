"""pages: what every page shares: how a template is filled, and how a figure comes into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from hwsim.accounts import wording

FILTERS = ("change", "count", "error", "precise", "quantity", "share", "size", "times")
FONT = "system-ui, sans-serif"


def fill(template: str, **values: Any) -> str:
    """The whole page, which opens without a network; text is escaped, `Markup` is not."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update({name: getattr(wording, name) for name in FILTERS})
    return environment.get_template(template).render(plotly=Markup(get_plotlyjs()), **values)


def embedded(figure: Any, name: str, height: int, **layout: Any) -> Markup:
    """The figure as a piece of a page that has loaded plotly; `height` in pixels.

    `layout`: what differs from other figures.
    """
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 8, "r": 8, "t": 48, "b": 36},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
    )
    figure.update_layout(**layout)
    figure.update_xaxes(automargin=True, zeroline=False)
    figure.update_yaxes(automargin=True, zeroline=False)
    page: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=name,
        config={"displayModeBar": False, "responsive": True},
    )
    return Markup(page)


def tame(name: str) -> str:
    """A name that came from a file: plotly shows some tags, so none is let through."""
    return name.replace("&", "&amp;").replace("<", "&lt;")

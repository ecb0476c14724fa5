"""pages: functions for all HTML pages: fill a template, embed a figure."""

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
    """A whole page, which opens without a network.

    template: name of a file in this folder.  Text is escaped, `Markup` is not.
    """
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
    """A figure as HTML for a page that has loaded plotly.

    name: id of the element.  height: in pixels.  layout: settings that differ from other figures'.
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
    """A name from a file, with tags escaped, since plotly would render some of them."""
    return name.replace("&", "&amp;").replace("<", "&lt;")

"""docs/codes.svg: for each model, the error of its codes over their length and their spikes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

WIDTH, HEIGHT = 430, 270  # of a panel's axes
LEFT, TOP, GAP = 74, 52, 92
COLOURS = {"binary": "#2b5c8a", "signed-digit": "#c05a1c", "graded": "#3d8a4e"}
DASHES = {2: "", 1: ' stroke-dasharray="5 4"'}
STYLE = """
    text { font-family: system-ui, 'DejaVu Sans', sans-serif; font-size: 12px; fill: #445260; }
    .head { font-size: 14px; font-weight: 600; fill: #1c2126; } .grid { stroke: #dde3ea; }
    .axes { fill: none; stroke: #33475b; } .line { fill: none; stroke-width: 2; }
    .knee { stroke: #8a2b5c; stroke-dasharray: 2 3; }
"""
Curve = tuple[str, str, list[Any]]  # colour, further attributes, points


def draw(models: Mapping[str, list[Any]], knees: Mapping[str, int]) -> str:
    """One row per model: error over digits T, and error over spikes per value."""
    rows = []
    for place, (name, points) in enumerate(models.items()):
        y = TOP + place * (HEIGHT + GAP)
        lowest = min(p.error for p in points)
        highest = max(p.error for p in points)
        scale = Scale(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)), y)
        what = "1 - cosine" if "MiniLM" in name else "mean KL, nats"
        rows.append(f'<text class="head" x="{LEFT}" y="{y - 14}">{name}: {what}</text>')
        long = list(curves(points))
        rows += panel(scale, LEFT, "binary digits T", long, lambda p: p.steps, knees[name])
        short = [c for c in curves(points) if all(p.ranges == 2 for p in c[2])]
        rows += panel(scale, LEFT + WIDTH + GAP, "spikes per value", short, lambda p: p.spikes)
    height = TOP + len(models) * (HEIGHT + GAP) + 36
    width = LEFT + 2 * WIDTH + GAP + 30
    legend = key(height - 30)
    body = "\n  ".join([*rows, *legend])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="Error of spike codes against their length">\n  <style>{STYLE}  </style>\n'
        f'  <rect width="{width}" height="{height}" rx="12" fill="#f8f9fb"/>\n  {body}\n</svg>\n'
    )


class Scale:
    """The logarithmic axis of errors, decades [first, last], at height y."""

    def __init__(self, first: int, last: int, y: int) -> None:
        self.first, self.last, self.y = first, last, y

    def at(self, error: float) -> float:
        return self.y + HEIGHT * (self.last - math.log10(error)) / (self.last - self.first)


def curves(points: list[Any]) -> Iterable[Curve]:
    for form, colour in COLOURS.items():
        for ranges, dash in DASHES.items():
            of_form = [p for p in points if (p.form, p.ranges) == (form, ranges)]
            for by_channel in (False, True):
                line = sorted(
                    (p for p in of_form if p.channel_steps == by_channel), key=lambda p: p.steps
                )
                if line:
                    yield ("#7a4fa3" if by_channel else colour), dash, line


def panel(
    scale: Scale,
    x0: int,
    title: str,
    lines: list[Curve],
    of: Callable[[Any], float],
    knee: int | None = None,
) -> list[str]:
    """One pair of axes with its curves; of: a point -> its value along x."""
    values = [of(p) for _, _, line in lines for p in line]
    low, high = math.floor(min(values)), math.ceil(max(values))

    def across(value: float) -> float:
        return x0 + WIDTH * (value - low) / (high - low)

    y, end = scale.y, scale.y + HEIGHT
    marks = []
    for decade in range(scale.first, scale.last + 1):
        at = scale.at(10.0**decade)
        marks.append(f'<path class="grid" d="M{x0} {at:.1f}h{WIDTH}"/>')
        marks.append(f'<text x="{x0 - 8}" y="{at + 4:.1f}" text-anchor="end">1e{decade}</text>')
    for tick in range(low, high + 1):
        marks.append(
            f'<text x="{across(tick):.1f}" y="{end + 18}" text-anchor="middle">{tick}</text>'
        )
    marks.append(f'<text x="{x0 + WIDTH / 2}" y="{end + 36}" text-anchor="middle">{title}</text>')
    if knee is not None:
        marks.append(f'<path class="knee" d="M{across(knee):.1f} {y}v{HEIGHT}"/>')
        marks.append(f'<text x="{across(knee) + 5:.1f}" y="{y + 16}">knee</text>')
    for colour, more, line in lines:
        places = " ".join(f"{across(of(p)):.1f},{scale.at(p.error):.1f}" for p in line)
        marks.append(f'<polyline class="line" stroke="{colour}"{more} points="{places}"/>')
    marks.append(f'<rect class="axes" x="{x0}" y="{y}" width="{WIDTH}" height="{HEIGHT}"/>')
    return marks


def key(y: int) -> list[str]:
    """The legend: what the colours and dashes mean."""
    entries = [(form, colour, "") for form, colour in COLOURS.items()]
    entries += [("binary, steps by channel", "#7a4fa3", ""), ("one range", "#33475b", DASHES[1])]
    marks, x = [], LEFT
    for name, colour, dash in entries:
        marks.append(f'<path class="line" stroke="{colour}"{dash} d="M{x} {y}h26"/>')
        marks.append(f'<text x="{x + 32}" y="{y + 4}">{name}</text>')
        x += 60 + 8 * len(name)
    return marks

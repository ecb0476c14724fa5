"""Draws architecture.svg: the folders of the three packages, and which imports which.

    python docs/draw_architecture.py

Boxes stand in layers, so that imports point down; an arrow that others imply (A to B and B to C
imply A to C) is left out, one that points up is dashed.  Layout: longest paths for layers (Sugiyama
et al. 1981), barycentres for the order in a layer, dummy boxes for arrows that pass layers.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parent.parent
PICTURE = Path(__file__).with_name("architecture.svg")
PACKAGES = ("hwsim", "compiler", "las_neuro")  # from the top down
COLOURS = {"hwsim": "#1f6f5c", "compiler": "#2b5a9e", "las_neuro": "#8a5a14"}
WIDTH, HEIGHT, MARGIN = 760, 34, 24  # of the picture, of a box
GAP, BAND, SPACE = 34, 30, 22  # between layers, above a package, beside a box
SWEEPS = 40

Graph = dict[str, set[str]]


@dataclass
class Place:
    """A box, or the point where a long arrow passes a layer (width 0, no name)."""

    layer: int
    width: float
    x: float = 0.0  # of its middle


def imported(root: Path) -> dict[tuple[str, str], int]:
    """(folder, folder it imports) -> how many of its files do."""
    files: dict[tuple[str, str], set[Path]] = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            here = folder(root, path.relative_to(root).with_suffix("").as_posix().split("/"))
            for name in _names(path):
                there = folder(root, name.split("."))
                if there != here and name.split(".")[0] in PACKAGES:
                    files.setdefault((here, there), set()).add(path)
    return {ends: len(paths) for ends, paths in files.items()}


def folder(root: Path, parts: list[str]) -> str:
    """`package/folder` of a module, or `package` for the files beside the folders."""
    return "/".join(parts[:2]) if (root / Path(*parts[:2])).is_dir() else parts[0]


def _names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def without_cycles(counts: dict[tuple[str, str], int]) -> tuple[Graph, list[tuple[str, str]]]:
    """Arrows that can all point down, strongest first, and those left over."""
    graph: Graph = {name: set() for ends in counts for name in ends}
    upward = []
    for (a, b), _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        rises = PACKAGES.index(a.split("/")[0]) > PACKAGES.index(b.split("/")[0])
        if rises or a in reachable(graph, b):
            upward.append((a, b))
        else:
            graph[a].add(b)
    return graph, sorted(upward)


def reachable(graph: Graph, start: str) -> set[str]:
    seen, open_ = {start}, [start]
    while open_:
        for name in graph[open_.pop()] - seen:
            seen.add(name)
            open_.append(name)
    return seen


def reduced(graph: Graph) -> Graph:
    """The same reachability with the fewest arrows."""
    return {
        a: {b for b in targets if not any(b in reachable(graph, c) for c in targets - {b})}
        for a, targets in graph.items()
    }


def layered(graph: Graph) -> dict[str, int]:
    """Layer of each folder, 0 at the top; packages do not share layers."""
    layers: dict[str, int] = {}
    above = 0
    for package in PACKAGES:
        inside = sorted(name for name in graph if name.split("/")[0] == package)
        heights = {name: _height(graph, name, package) for name in inside}
        tallest = max(heights.values(), default=-1)
        layers |= {name: above + tallest - height for name, height in heights.items()}
        above += tallest + 1
    return layers


def _height(graph: Graph, name: str, package: str) -> int:
    below = [b for b in graph[name] if b.split("/")[0] == package]
    return 1 + max((_height(graph, b, package) for b in below), default=-1)


def arranged(graph: Graph) -> tuple[dict[str, Place], list[list[str]]]:
    """Places by name, and each arrow as the names it passes."""
    layers = layered(graph)
    places = {name: Place(layers[name], 9 * len(label(name)) + 18) for name in sorted(layers)}
    paths = []
    for a in sorted(graph):
        for b in sorted(graph[a]):
            passed = [f"{a}>{b}@{i}" for i in range(layers[a] + 1, layers[b])]
            places |= {name: Place(int(name.rsplit("@", 1)[1]), 4) for name in passed}
            paths.append([a, *passed, b])
    neighbours: Graph = {name: set() for name in places}
    for path in paths:
        for one, two in pairwise(path):
            neighbours[one].add(two)
            neighbours[two].add(one)
    rows = [[n for n in places if places[n].layer == i] for i in range(max(layers.values()) + 1)]
    for row in rows:
        _spread(row, places, {name: 0.0 for name in row})
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 else reversed(rows):
            _spread(row, places, {name: _middle(name, places, neighbours) for name in row})
    return places, paths


def _middle(name: str, places: dict[str, Place], neighbours: Graph) -> float:
    near = [places[other].x for other in sorted(neighbours[name])]
    return sum(near) / len(near) if near else places[name].x


def _spread(row: list[str], places: dict[str, Place], wish: dict[str, float]) -> None:
    """Boxes of a layer as near to where they would be as their widths allow."""
    row.sort(key=lambda name: (wish[name], name))
    groups: list[tuple[list[str], float, float]] = []  # names, left edge, width
    for name in row:
        width = places[name].width + SPACE
        groups.append(([name], wish[name] - width / 2, width))
        while len(groups) > 1 and groups[-2][1] + groups[-2][2] > groups[-1][1]:
            (names, left, wide), (more, at, broad) = groups[-2:]
            shared = (len(names) * left + len(more) * (at - wide)) / (len(names) + len(more))
            groups[-2:] = [(names + more, shared, wide + broad)]
    for names, left, _ in groups:
        for name in names:
            places[name].x = left + (places[name].width + SPACE) / 2
            left += places[name].width + SPACE


def label(name: str) -> str:
    return name.split("/", 1)[1] if "/" in name else f"{name}/*.py"


def drawn(root: Path = ROOT) -> str:
    """The picture."""
    graph, upward = without_cycles(imported(root))
    places, paths = arranged(reduced(graph))
    left = min(place.x - place.width / 2 for place in places.values())
    right = max(place.x + place.width / 2 for place in places.values())
    scale = min(1.0, (WIDTH - 2 * MARGIN) / (right - left))
    start = (WIDTH - (right - left) * scale) / 2
    for place in places.values():
        place.x = start + (place.x - left) * scale
        place.width *= scale
    tops, bands, height = _heights(places)
    parts = [_frame(package, top, bottom) for package, (top, bottom) in bands.items()]
    parts += [_arrow([_point(places[n], tops) for n in path], path[0]) for path in paths]
    parts += [_dashed(places[a], places[b], tops, a) for a, b in upward]
    parts += [_box(n, places[n], tops) for n in sorted(places) if "@" not in n]
    return "\n".join([_head(height), *parts, "</svg>", ""])


def _heights(places: dict[str, Place]) -> tuple[list[float], dict[str, tuple[float, float]], float]:
    """Top of each layer, top and bottom of each package, height of the whole."""
    owner = {p.layer: n.split("/")[0] for n, p in sorted(places.items()) if "@" not in n}
    tops, bands, y = [], {}, 8.0
    for layer in range(len(owner)):
        if layer == 0 or owner[layer] != owner[layer - 1]:
            y += 0 if layer == 0 else 16
            bands[owner[layer]] = (y, y)
            y += BAND
        tops.append(y)
        y += HEIGHT + GAP
        bands[owner[layer]] = (bands[owner[layer]][0], y - GAP + 14)
    return tops, bands, y


def _head(height: float) -> str:
    arrows = "".join(
        f'<marker id="{package}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"'
        f' markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{colour}"/></marker>'
        for package, colour in COLOURS.items()
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}"'
        ' font-family="sans-serif" font-size="14">\n'
        "<!-- drawn from the imports by docs/draw_architecture.py -->\n"
        f'<rect width="{WIDTH}" height="{height:.0f}" fill="#ffffff"/>\n<defs>{arrows}</defs>'
    )


def _frame(package: str, top: float, bottom: float) -> str:
    return (
        f'<rect x="6" y="{top:.0f}" width="{WIDTH - 12}" height="{bottom - top:.0f}" rx="8"'
        f' fill="{COLOURS[package]}" fill-opacity="0.07"/>\n'
        f'<text x="16" y="{top + 20:.0f}" font-weight="bold" fill="{COLOURS[package]}">'
        f"{package}</text>"
    )


def _box(name: str, place: Place, tops: list[float]) -> str:
    colour, top = COLOURS[name.split("/")[0]], tops[place.layer]
    return (
        f'<rect x="{place.x - place.width / 2:.1f}" y="{top:.0f}" width="{place.width:.1f}"'
        f' height="{HEIGHT}" rx="5" fill="#ffffff" stroke="{colour}" stroke-width="1.5"/>\n'
        f'<text x="{place.x:.1f}" y="{top + 22:.0f}" text-anchor="middle" fill="#222222">'
        f"{escape(label(name))}</text>"
    )


def _point(place: Place, tops: list[float]) -> tuple[float, float]:
    return place.x, tops[place.layer]


def _arrow(points: list[tuple[float, float]], source: str) -> str:
    """A curve through the points, upright where it passes a layer."""
    (x, y), *rest = points
    path = f"M{x:.1f},{y + HEIGHT:.0f}"
    y += HEIGHT
    for i, (to_x, to_y) in enumerate(rest):
        middle = (y + to_y) / 2
        path += f" C{x:.1f},{middle:.0f} {to_x:.1f},{middle:.0f} {to_x:.1f},{to_y:.0f}"
        x, y = to_x, to_y
        if i < len(rest) - 1:
            y += HEIGHT
            path += f" L{x:.1f},{y:.0f}"
    return _line(path, source)


def _dashed(a: Place, b: Place, tops: list[float], source: str) -> str:
    start, end = tops[a.layer], tops[b.layer] + HEIGHT
    x, to_x = a.x + a.width / 4, b.x + b.width / 4
    middle = (start + end) / 2
    curve = f"C{x:.1f},{middle:.0f} {to_x:.1f},{middle:.0f} {to_x:.1f},{end:.0f}"
    return _line(f"M{x:.1f},{start:.0f} {curve}", source, ' stroke-dasharray="5 4"')


def _line(path: str, source: str, more: str = "") -> str:
    package = source.split("/")[0]
    return (
        f'<path d="{path}" fill="none" stroke="{COLOURS[package]}" stroke-width="1.3"'
        f' stroke-opacity="0.75"{more} marker-end="url(#{package})"/>'
    )


if __name__ == "__main__":
    PICTURE.write_text(drawn(), "utf-8")

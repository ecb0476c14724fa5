"""How much of its stated bound each operator uses, over random models of every family.

    python benchmarks/bounds.py

Runs every family and switch of tests/switches.py with one and two weight planes and 16 steps on the
fast engine, and writes the table of docs/bounds.md.  Takes about a minute on one core.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from bounds.bounded import Share, hold  # noqa: E402
from markdown import table as markdown_table  # noqa: E402
from random_models import random_model  # noqa: E402
from record import fill, machine, today  # noqa: E402
from switches import CASES  # noqa: E402

from compiler.convert import calibrated, coded  # noqa: E402
from compiler.pipeline import build  # noqa: E402
from las_neuro.patches import patches  # noqa: E402

STEPS, PLANES = 16, (1, 2)
VISION = {"vit": (3, 12, 12), "vit-classifier": (2, 8, 12)}
PAGE = ROOT / "docs" / "bounds.md"


def main() -> None:
    """Measure, then write the table of docs/bounds.md."""
    warnings.simplefilter("ignore")
    shares: dict[str, list[Share]] = {}
    cases = [*((case.values, case.id) for case in CASES), *(((name, {}), name) for name in VISION)]
    for (family, fields), name in cases:
        print(f"measuring {name}", file=sys.stderr)
        for share in of_model(family, fields):
            shares.setdefault(operator(share), []).append(share)
    fill(PAGE, {"bounds": f"{head(len(cases))}\n\n{table(shares)}"})


def of_model(family: str, fields: dict[str, object]) -> Iterator[Share]:
    """Every node of one random model, with one weight plane and with two."""
    random = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        random_model(family, **fields).save_pretrained(folder, safe_serialization=True)
        model = calibrated(folder)
        rows = random.integers(2, 61, (3, 20))
        if family in VISION:
            images = random.uniform(-1, 1, (3, *VISION[family])).astype(np.float32)
            rows = patches(images, model.graph.pixels, model.graph.context)
        for planes in PLANES:
            graph = coded(model, planes, STEPS)
            yield from hold(build(graph), graph, rows).shares.values()


def operator(share: Share) -> str:
    return f"{share.op} {share.kind}".strip()


def head(models: int) -> str:
    """When, where and on which models the shares were measured."""
    return (
        f"Measured {today()} by `benchmarks/bounds.py`: {machine()}."
        f"\n{models} random models, {len(PLANES)} netlists each, {STEPS} steps, 60 tokens or more."
    )


def table(shares: dict[str, list[Share]]) -> str:
    """One row per operator; shares: of its nodes."""
    heads = (
        *("operator", "nodes", "values", "beyond the bound", "largest share of the bound used"),
        *("median of the nodes'", "of the rounding alone", "mean, of the rounding"),
    )
    return markdown_table(heads, (cells(name, nodes) for name, nodes in sorted(shares.items())))


def cells(name: str, nodes: list[Share]) -> tuple[str, ...]:
    values = sum(node.values for node in nodes)
    lean = sum(node.lean * node.values for node in nodes) / values
    return (
        name,
        f"{len(nodes):,}",
        f"{values:,}",
        f"{sum(node.outside for node in nodes)}",
        f"{max(node.used for node in nodes):.3f}",
        f"{median(node.used for node in nodes):.3f}",
        f"{max(node.rounding for node in nodes):.3f}",
        f"{lean:+.3f}",
    )


if __name__ == "__main__":
    main()

"""How much of its stated bound each operator uses, over random models of every family.

    python benchmarks/bounds.py

Every family and switch of tests/switches.py, one and two weight planes, 16 steps, the fast engine;
writes the table of docs/bounds.md.  About a minute on one core.
"""

from __future__ import annotations

import datetime
import re
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
from figures import machine  # noqa: E402
from random_models import random_model  # noqa: E402
from switches import CASES  # noqa: E402

from compiler.convert import calibrated, coded  # noqa: E402
from compiler.pipeline import build  # noqa: E402
from las_neuro.patches import patches  # noqa: E402

STEPS, PLANES = 16, (1, 2)
VISION = {"vit": (3, 12, 12), "vit-classifier": (2, 8, 12)}
PAGE = ROOT / "docs" / "bounds.md"


def main() -> None:
    """Measure, then write docs/bounds.md's table."""
    warnings.simplefilter("ignore")
    shares: dict[str, list[Share]] = {}
    cases = [*((case.values, case.id) for case in CASES), *(((name, {}), name) for name in VISION)]
    for (family, fields), name in cases:
        print(f"measuring {name}", file=sys.stderr)
        for share in of_model(family, fields):
            shares.setdefault(operator(share), []).append(share)
    fill(PAGE, f"{head(len(cases))}\n\n{table(shares)}")


def of_model(family: str, fields: dict[str, object]) -> Iterator[Share]:
    """Every node of one random model, with one weight plane and with two."""
    random = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        random_model(family, **fields).save_pretrained(folder, safe_serialization=True)
        found = calibrated(folder)
        rows = random.integers(2, 61, (3, 20))
        if family in VISION:
            images = random.uniform(-1, 1, (3, *VISION[family])).astype(np.float32)
            rows = patches(images, found.graph.pixels, found.graph.context)
        for planes in PLANES:
            graph = coded(found, planes, STEPS)
            yield from hold(build(graph), graph, rows).shares.values()


def operator(share: Share) -> str:
    return f"{share.op} {share.kind}".strip()


def head(models: int) -> str:
    """When and where."""
    return (
        f"Measured {datetime.date.today().isoformat()} by `benchmarks/bounds.py`: {machine()}."
        f"\n{models} random models, {len(PLANES)} netlists each, {STEPS} steps, 60 tokens or more."
    )


def table(shares: dict[str, list[Share]]) -> str:
    lines = [
        "| operator | nodes | values | beyond the bound | largest share of the bound used |"
        " median of the nodes' | of the rounding alone | mean, of the rounding |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, found in sorted(shares.items()):
        values = sum(share.values for share in found)
        lean = sum(share.lean * share.values for share in found) / values
        lines.append(
            f"| {name} | {len(found):,} | {values:,} | {sum(share.outside for share in found)}"
            f" | {max(share.used for share in found):.3f}"
            f" | {median(share.used for share in found):.3f}"
            f" | {max(share.rounding for share in found):.3f} | {lean:+.3f} |"
        )
    return "\n".join(lines)


def fill(path: Path, made: str) -> None:
    """Put the table between its marks."""
    mark, end = "<!-- figures: benchmarks/bounds -->", "<!-- end of figures -->"
    whole = f"{mark}\n{made}\n{end}"
    path.write_text(re.sub(f"{mark}.*?{end}", lambda _: whole, path.read_text(), flags=re.S))


if __name__ == "__main__":
    main()

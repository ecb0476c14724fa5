"""Size and error of the tables of scalar functions, beside those of LAS's published tables.

    python benchmarks/hg_errors.py

Prints two tables in Markdown.  Errors of our tables hold for every input of a compartment (see
compiler/functions/fit_functions.py); errors of the published tables were measured by running the
code of LAS (arXiv 2505.09659), each over its own range.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from markdown import table

from compiler.functions.fit_functions import (
    BOUNDED,
    OCTAVE_BUDGET,
    SEGMENT_BUDGET,
    Fit,
    antilog_fit,
    octave_fit,
    segment_fit,
)
from compiler.lowering.attention import SCORE_BITS
from compiler.netlist.kinds import Kind, antilog, octave, segment
from las_neuro.neurons.codes import largest_magnitude

PEAK, PEAK_BITS = 8.0, 20  # the largest calibrated value, and the bits it takes (fix_units)
SEGMENT_BUDGETS = (4.0, SEGMENT_BUDGET, 64.0, 256.0)
RELATIVE_BUDGETS = (8e-6, OCTAVE_BUDGET, 5e-4)
ONE = largest_magnitude("binary", 16)

# largest and typical error as measured; LAS's code at commit 0d237d4
PUBLISHED = {
    "gelu": ("2.9e-3 absolute", "0.1 % on [-1, 3]"),
    "silu": ("steps of 1e-3", "-"),
    "x**-1": ("2-11 %, by interval", "0.5-3.5 %"),
    "x**-0.5": ("2-11 %: a square root (at most 0.3 % for x >= 0.01), then x**-1", "0.5-3.5 %"),
    "2**-x": ("17 % on [0, 3], 9 % on [3, 5]; below -2 the tail decodes to 0", "1.8-6 %"),
}


def main() -> None:
    heads = ("function", "budget", "lines", "table bits", "largest error")
    print(table(heads, (*bounded(), *relative())))
    print()
    heads = ("LAS's published tables", "largest error", "median or typical")
    print(table(heads, ((f"`{name}`", *errors) for name, errors in PUBLISHED.items())))


def bounded() -> Iterator[tuple[str, ...]]:
    """Functions with asymptotes, for inputs and outputs calibrated up to PEAK."""
    unit = PEAK / 2**PEAK_BITS
    for fn, function in BOUNDED.items():
        flat = function.right[0] == 0.0
        out = (1.0 if flat else PEAK) / 2**PEAK_BITS
        for budget in SEGMENT_BUDGETS:
            fit = segment_fit(fn, unit, out, budget)
            error = f"{fit.error:.1f} ulp = {fit.error * out:.1e} absolute"
            yield f"`{fn}`", f"{budget:g} ulp", str(fit.lines), bits(segment.KIND, fit), error


def relative() -> Iterator[tuple[str, ...]]:
    """Functions with the same relative error in every octave."""
    mantissa = math.sqrt(0.5)  # of f(1); the rounding of a line depends on it slightly
    for budget in RELATIVE_BUDGETS:
        for name, root in (("x**-1", False), ("x**-0.5", True)):
            fit = octave_fit(root, 1.0, 1 / mantissa, budget)
            error = f"{fit.error:.1e} relative"
            yield f"`{name}`", f"{budget:g}", str(fit.lines), bits(octave.KIND, fit), error
        budget = max(budget, 2.5 / ONE)  # its payload has 16 bits
        fit = antilog_fit(SCORE_BITS, ONE, budget)
        error = f"{fit.error:.1e} relative"
        yield "`2**-x`", f"{budget:.2g}", str(fit.lines), bits(antilog.KIND, fit), error


def bits(kind: Kind, fit: Fit) -> str:
    words = sum(kind.params[array].bits for array in kind.tables)
    return f"{words * fit.lines:,}"


if __name__ == "__main__":
    main()

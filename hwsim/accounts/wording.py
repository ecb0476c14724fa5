"""Numbers as text for readers; figures are rounded only here."""

from __future__ import annotations

import math

LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
SMALL = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"))


def count(number: float) -> str:
    """A count in at most four characters and a prefix: 812, 9,310, 23.4 k, 1.95 M."""
    if abs(number) < 1e4:
        whole = number == int(number) or abs(number) >= 100
        return f"{number:,.0f}" if whole else f"{number:.3g}"
    for factor, prefix in LARGE:
        if abs(number) >= factor * 0.9995:
            return f"{_three(number / factor)} {prefix}"
    return f"{number:,.0f}"


def quantity(number: float | None, unit: str) -> str:
    """A physical quantity with an SI prefix; a dash where it is unknown."""
    if number is None or math.isnan(number):
        return "–"
    if number == 0:
        return f"0 {unit}"
    for factor, prefix in (*((f, p) for f, p in LARGE), *SMALL):
        if abs(number) >= factor * 0.9995:
            return f"{_three(number / factor)} {prefix}{unit}"
    return f"{number:.2e} {unit}"


def size(number: int) -> str:
    """Bytes in binary multiples."""
    amount = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} B" if unit == "B" else f"{_three(amount)} {unit}"
        amount /= 1024
    return f"{_three(amount)} TiB"


def times(ratio: float) -> str:
    """A ratio: 0.61 ×; a dash where there is nothing to compare with."""
    return "–" if math.isnan(ratio) else f"{_three(ratio)} ×"


def share(part: float, whole: float) -> str:
    """A part in per cent; a small part is written as < 0.1 %, not as 0."""
    percent = 100 * part / whole if whole else 0.0
    return "< 0.1 %" if 0 < percent < 0.05 else f"{percent:.1f} %"


def error(number: float | None) -> str:
    """A relative error: two significant digits; a dash where it is unknown."""
    if number is None:
        return "–"
    return "0" if number == 0 else f"{number:.1e}"


def change(ratio: float) -> str:
    """A relative change in per cent, with its sign: +0.012 %."""
    return f"{100 * ratio:+.3f} %"


def precise(number: float) -> str:
    """Six significant digits, for figures that are compared with similar ones."""
    return f"{number:#.6g}"


def _three(number: float) -> str:
    """Three significant digits without an exponent."""
    if number == 0:
        return "0"
    rounded = float(f"{number:.2e}")
    digits = 2 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:,.{min(max(digits, 0), 6)}f}"

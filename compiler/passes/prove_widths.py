"""prove_widths: choose the cuts that keep every sum of a long code inside 24 bits, and prove it.

Needs: schedule and weights.  Leaves: `shift`, `cut` and `safe` on every population that sums.
Digits arrive least significant first, b binary digits per time step, and step t counts
2**(b t - c), where c is the number of bits cut so far: a cut divides the state by 2**bits, just
before a step whose digit might not fit.  The proof takes the worst case, every digit 1 with the
sign of its weight: the sum over synapses of |weight| * 2**digits.  Where even a single step cannot
be proven to fit, `safe` is 0, every step is cut, and a run counts the wraps.
"""

from __future__ import annotations

from itertools import accumulate

from compiler.lowering.network import LoweredNetwork
from compiler.netlist.reach import digit_widths, reach, volley_reach
from compiler.netlist.wiring import Wiring
from compiler.passes.contract import Pass
from compiler.task import Task
from las_neuro.integers import WORD_LIMIT


def prove_widths(net: LoweredNetwork, task: Task) -> LoweredNetwork:
    """Shifts and cuts by position for inputs that are coded in digits.

    Other sums get none; `safe` says whether they are proven to fit.
    """
    wiring = Wiring(net)
    for name, population in net.populations.items():
        port = population.does.sum_port
        if not port:
            continue
        steps, summed = len(population.steps), wiring.into(name, port)
        params = dict(population.params)
        if "shift" in params:
            params |= {"cut": (0,) * steps, "safe": 1}
        elif widths := max(digit_widths(wiring, g.source) for g in wiring.into(name)):
            params |= cuts(widths, sum(reach(wiring, g) for g in summed))
        else:
            volleys = [volley_reach(wiring, g) for g in wiring.into(name)]
            safe = all(v is not None for v in volleys)
            safe = safe and sum(v for v in volleys if v is not None) <= WORD_LIMIT
            params |= {"shift": (0,) * steps, "cut": (0,) * steps, "safe": int(safe)}
        net.update(name, params=params)
    return net


def cuts(widths: tuple[int, ...], largest: int) -> dict[str, object]:
    """`shift`, `cut` and `safe` with as few cuts as possible, each of as few bits as possible.

    widths: binary digits of each step; largest: the largest sum of one step with all digits 1.
    With c bits cut so far, the sum of the lowest d digits is at most largest * 2**(d - c) + 1,
    which fits while d - c <= free.  In total, digits - free bits have to be cut.
    """
    free = _bits((WORD_LIMIT - 2) // max(largest, 1))
    excess, total = max(sum(widths) - free, 0), 0  # bits to cut in all, bits cut so far
    shift, cut = [], []
    for width, digits in zip(widths, accumulate(widths), strict=True):
        below = digits - width
        full = digits - total > max(free, width)
        cut.append(min(below, excess) - total if full else 0)
        total += cut[-1]
        shift.append(below - total)
    return {"shift": tuple(shift), "cut": tuple(cut), "safe": int(free >= max(widths))}


def _bits(x: int) -> int:
    """Largest r with 2**r <= x; 0 for x < 1."""
    return max(0, int(x).bit_length() - 1)


PASS = Pass(
    prove_widths,
    "lowered",
    "lowered",
    needs=("steps",),
    leaves=("cuts",),
    reads_weights=True,
)

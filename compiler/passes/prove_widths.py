"""prove_widths: choose the cuts that keep every sum of a long code inside 24 bits, and prove it.

Needs: schedule and weights.  Leaves: `shift`, `cut` and `safe` on every integrate population.
Digits come least significant first, b binary ones a step, and step t counts 2**(b t - c), c being
the bits cut away so far: a cut divides the state by 2**bits just before the next digit would not
surely fit any more.  The proof is the worst case, every digit set and every sign against us: sum
over synapses of |weight| * 2**digits.  Where even one step cannot be proven, every step is cut and
the run counts the wraps.
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
    """Positional shifts and cuts for coded inputs; plain sums get none and are counted."""
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
            proven = all(v is not None for v in volleys)
            proven = proven and sum(v for v in volleys if v is not None) <= WORD_LIMIT
            params |= {"shift": (0,) * steps, "cut": (0,) * steps, "safe": int(proven)}
        net.update(name, params=params)
    return net


def cuts(widths: tuple[int, ...], largest: int) -> dict[str, object]:
    """The fewest cuts, each of the fewest bits: what is left fills the word.

    widths: binary digits of each step; largest: the largest sum that digits 1 of one step give.
    With c bits cut so far, the sum of the lowest d digits is at most largest * 2**(d - c) + 1,
    which fits while d - c <= free.  In the end exactly digits - free bits have to be cut away.
    """
    free = _bits((WORD_LIMIT - 2) // max(largest, 1))
    excess, done = max(sum(widths) - free, 0), 0
    shift, cut = [], []
    for width, seen in zip(widths, accumulate(widths), strict=True):
        below = seen - width
        full = seen - done > max(free, width)
        cut.append(min(below, excess) - done if full else 0)
        done += cut[-1]
        shift.append(below - done)
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

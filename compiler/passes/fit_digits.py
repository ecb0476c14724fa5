"""fit_digits: choose how many binary digits a spike of a graded code carries.

Needs: lowered populations, with weights unless only planned.  Leaves: `digit_bits` and `steps` of
every graded encoder.  The limit is the number of digits, 8 at most, for which the sum of one time
step surely fits the word of every receiver.  Of all widths with the same number of steps the
smallest is taken, which leaves more bits for the sum over all steps.  Binary and signed digits stay
at one per step.  Without weights (planning) every weight counts as 127, so a plan may show more
steps than the compiled model has.
"""

from __future__ import annotations

from compiler.lowering.network import LoweredNetwork
from compiler.netlist.model import Dense, Synapses
from compiler.netlist.reach import reach
from compiler.netlist.wiring import Wiring
from compiler.passes.contract import Pass
from compiler.task import Task
from compiler.weights.quantize import WEIGHT_LIMIT, Unweighted
from las_neuro.integers import WORD_LIMIT


def fit_digits(net: LoweredNetwork, task: Task) -> LoweredNetwork:
    """The fewest steps that the widest fitting digits allow, with the narrowest digits for them."""
    wiring = Wiring(net)
    for name, population in net.populations.items():
        allowed = population.params.get("digit_bits", 1)
        if allowed == 1:
            continue
        groups = wiring.out_of(name)
        most = min((_widest_digit(wiring, group) for group in groups), default=allowed)
        digits = population.params["digits"]
        steps = -(-digits // max(1, min(allowed, most, digits)))
        width = -(-digits // steps)
        net.update(name, params={**population.params, "digit_bits": width, "steps": steps})
    return net


def _widest_digit(wiring: Wiring, group: Synapses) -> int:
    """Largest b for which a sum of b-bit digits surely fits the word.

    The limit is 2 smaller, for the remainder of a halving (see `prove_widths`).
    """
    form = group.form
    if isinstance(form, Dense) and isinstance(form.weights, Unweighted):
        largest = WEIGHT_LIMIT * form.weights.shape[1]
    else:
        largest = reach(wiring, group)
    return int((WORD_LIMIT - 2) // max(1, largest)).bit_length() - 1


PASS = Pass(fit_digits, "lowered", "lowered", needs=("populations",), leaves=("digits",))

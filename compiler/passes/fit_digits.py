"""fit_digits: how many binary digits a spike of a graded code carries.

Needs: lowered populations; weights where there are any.  Leaves: `digit_bits` and `steps` of every
graded encoder.  A spike may carry as many digits as the sum of one step surely has room for at
every receiver, 8 at most; then as few as give the same number of steps, which leaves more room for
the sum of all steps.  Binary and signed digits stay one a step.  Without weights (planning) every
weight counts 127, so a plan may show more steps than the compiled model has.
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
    """The widest digits that fit, then the narrowest that take no step more."""
    wiring = Wiring(net)
    for name, population in net.populations.items():
        allowed = population.params.get("digit_bits", 1)
        if allowed == 1:
            continue
        most = min((_room(wiring, group) for group in wiring.receivers(name)), default=allowed)
        digits = population.params["digits"]
        steps = -(-digits // max(1, min(allowed, most, digits)))
        width = -(-digits // steps)
        net.update(name, params={**population.params, "digit_bits": width, "steps": steps})
    return net


def _room(wiring: Wiring, group: Synapses) -> int:
    """Largest b whose digits 2**b - 1 surely sum up inside the word, with the rest of a halving."""
    form = group.form
    if isinstance(form, Dense) and isinstance(form.weights, Unweighted):
        largest = WEIGHT_LIMIT * form.weights.shape[1]
    else:
        largest = reach(wiring, group)
    return int((WORD_LIMIT - 2) // max(1, largest)).bit_length() - 1


PASS = Pass(fit_digits, "lowered", "lowered", needs=("populations",), leaves=("digits",))

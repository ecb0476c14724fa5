"""leak: the part of a membrane potential that the next repetition of the network starts with.

SpikeLM (arXiv 2406.03287) runs the network T times over the same input; a neuron's potential is

    m[t] = m[t-1] / 4 * (alpha - y[t-1]) + x[t],    y = alpha * clip(round(m / alpha), -1, 1)

so its reset depends on the spike it sent: the potential is multiplied by alpha / 4 after silence,
by 0 after a positive spike, by alpha / 2 after a negative one.  The repetitions are side by side in
the netlist: this compartment receives m[t-1] and sends the first term to the neuron of repetition
t.  It repeats the threshold test of `fire` in the same integers: more than `threshold` away from 0.
"""

from compiler.netlist.kinds.kind import Cost, Kind, Port, Rescaling, Word, at_once
from compiler.netlist.kinds.params import Param, Params
from compiler.netlist.kinds.timing import Timing
from las_neuro.integers import WORD_LIMIT, Array, namespace, saturate, scale


def _send(m: Array, p: Params) -> tuple[Array, int]:
    where = namespace(m).where
    q = scale(m, p["multiplier"], p["shift"], 0)
    rest = where(q > p["threshold"], m * 0, where(q < -p["threshold"], 2 * m, m))
    return saturate(scale(rest, p["gain"], p["divide"], 0), -WORD_LIMIT, WORD_LIMIT)


step, window = at_once(_send)

KIND = Kind(
    "leak",
    "leak and reset of a potential, by what it sent",
    ports={"x": Port("latch")},
    state={"x": Word(24)},
    params={
        "multiplier": Param(16, signed=True, per="compartment"),
        "shift": Param(6, per="compartment"),
        "threshold": Param(24),
        "gain": Param(16, per="compartment"),
        "divide": Param(6, per="compartment"),
    },
    step=step,
    window=window,
    cost=lambda p: Cost(state_reads=1, adds=2, multiplies=2, compares=2, shifts=3),
    timing=Timing(one_step=True),
    rescaling=Rescaling("multiplier", "shift", gain="gain", gain_shift="divide"),
)

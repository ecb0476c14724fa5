"""Both engines on one netlist: every spike and every count the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.model import Netlist
from hwsim.backends.fast.engine import Engine
from hwsim.backends.fast.session import spike_listener
from hwsim.backends.step.stepper import Stepper
from hwsim.backends.traces import Trace, first_difference


def same_in_both(net: Netlist, tokens: NDArray[Any]) -> NDArray[Any]:
    """The outputs [S, n] for tokens [S], which are not all silence."""
    fast, plain = Trace(net), Trace(net)
    engine, stepper = (
        Engine(net, on_train=spike_listener(fast.spike)),
        Stepper(net, on_spike=plain.spike),
    )
    outputs: NDArray[Any] = engine.run(tokens[None])[0].numpy()
    np.testing.assert_array_equal(outputs, stepper.run(tokens))
    assert first_difference(fast, plain) is None
    assert engine.counters.equals(stepper.counters) == []
    assert outputs.any()
    return outputs

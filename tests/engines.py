"""Both engines on one netlist: every spike, count and written weight the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.netlist.model import Netlist, Written
from compiler.netlist.wiring import Wiring
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
    same_weights(engine, stepper)
    assert outputs.any()
    return outputs


def same_weights(engine: Engine, stepper: Stepper) -> None:
    """What the written synapses hold after one sequence; slots not used yet hold 0."""
    wiring = Wiring(stepper.net)
    numbers = [
        number
        for name in stepper.net.populations
        for number, group in wiring.numbered_out_of(name)
        if isinstance(group.form, Written)
    ]
    assert set(engine.contents) <= set(numbers)
    for number, content in zip(numbers, stepper.contents, strict=True):
        (used,) = engine.contents[number].numpy()
        unused = [
            (0, all_ - some) for all_, some in zip(content.array.shape, used.shape, strict=True)
        ]
        np.testing.assert_array_equal(np.pad(used, unused), content.array)

"""The closed set of compartment kinds, by name."""

from compiler.netlist.kinds import (
    antilog,
    any,
    compete,
    encode,
    few_spikes,
    fire,
    input,
    integrate,
    leak,
    memory,
    octave,
    pointer,
    product,
    segment,
)
from compiler.netlist.kinds.kind import Cost, Kind, Loop, Outcome, Params, State, Swept, fold

KINDS: dict[str, Kind] = {
    module.KIND.name: module.KIND
    for module in (
        input,
        encode,
        fire,
        few_spikes,
        integrate,
        leak,
        product,
        segment,
        octave,
        antilog,
        memory,
        pointer,
        compete,
        any,
    )
}

__all__ = ["KINDS", "Cost", "Kind", "Loop", "Outcome", "Params", "State", "Swept", "fold"]

"""Memory that a netlist needs, in bytes at the declared widths, computed without a run."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from compiler.netlist.model import (
    SLICE_BITS,
    Dense,
    Gather,
    Netlist,
    Pattern,
    Population,
    Written,
)
from compiler.netlist.packed import packed_shape


@dataclass(frozen=True)
class Memory:
    """Memory of a netlist; each sum of bits is rounded up to whole bytes."""

    synapses: int  # number of connections, also of those that share a weight
    dense_bytes: int  # weights of dense groups, each of its group's bits
    sparse_bytes: int  # int8 weights of gathers and patterns, one shared weight per pattern
    state_bytes: int  # state words of every compartment
    kept_bytes: int  # the part of it that lives from token to token
    written_bytes: int  # weights that are written at run time, 7 bits a slice: K, V, what waits
    parameter_bytes: int  # thresholds, biases, multipliers, tables

    @property
    def total_bytes(self) -> int:
        held = self.state_bytes + self.parameter_bytes + self.written_bytes
        return self.dense_bytes + self.sparse_bytes + held


def measure(net: Netlist) -> Memory:
    """The memory of the whole netlist, without copies that a placement may add."""
    populations = net.populations.values()
    dense = (group.form for group in net.synapses if isinstance(group.form, Dense))
    return Memory(
        synapses=sum(int(net.fan_out(group).sum()) for group in net.synapses),
        dense_bytes=_bytes(sum(math.prod(form.weights.shape) * form.bits for form in dense)),
        sparse_bytes=_sparse_bytes(net),
        state_bytes=_state_bytes(net),
        kept_bytes=_bytes(sum(p.n * _kept_bits(p) for p in populations)),
        written_bytes=_written_bytes(net),
        parameter_bytes=_bytes(sum(_parameter_bits(p) for p in populations)),
    )


def file_bytes(net: Netlist) -> dict[str, int]:
    """Bytes in the netlist file: rows of narrow weights fill whole bytes; host tables are int32."""
    dense = (group.form for group in net.synapses if isinstance(group.form, Dense))
    packed = sum(math.prod(packed_shape(form.weights.shape, form.bits)) for form in dense)
    return {
        "weight_bytes": packed + _sparse_bytes(net),
        "state_bytes": _state_bytes(net),
        "written_bytes": _written_bytes(net),
        "host_table_bytes": sum(4 * math.prod(table.rows.shape) for table in net.tables),
    }


def _sparse_bytes(net: Netlist) -> int:
    """int8 weights of one-to-one groups; all synapses of a pattern share one."""
    forms = [group.form for group in net.synapses]
    gathers = sum(len(form.weight) for form in forms if isinstance(form, Gather))
    return gathers + sum(isinstance(form, Pattern) for form in forms)


def _written_bytes(net: Netlist) -> int:
    forms = [group.form for group in net.synapses if isinstance(group.form, Written)]
    numbers = ((math.prod(net.content_axes(form).values()), form.slices) for form in forms)
    return _bytes(sum(SLICE_BITS * slices * count for count, slices in numbers))


def _state_bytes(net: Netlist) -> int:
    return _bytes(sum(p.n * p.does.state_bits for p in net.populations.values()))


def _kept_bits(population: Population) -> int:
    """Bits of the words that one compartment keeps from token to token."""
    return sum(word.bits for word in population.does.state.values() if word.keeps)


def _parameter_bits(population: Population) -> int:
    """Bits of all parameters: of an array each value, a plain number once per population."""
    words = population.does.params
    values = ((words[name], value) for name, value in population.params.items())
    return sum(word.bits * int(np.size(value)) for word, value in values if word.chip)


def _bytes(bits: int) -> int:
    return -(-bits // 8)

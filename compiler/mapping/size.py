"""Size: how much of a target a netlist needs, by layer, before it is placed."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class LayerSize:
    """One layer (-1: before the first).  Numbers of cores are sums of shares, so not integers."""

    layer: int
    cores: float = 0.0
    memory_cores: float = 0.0  # of these, for key, value and waiting memories
    weights: int = 0  # dense synapses
    synapse_bytes: int = 0  # stored, with padding to whole words
    state_bytes: int = 0
    compartments: int = 0
    memory_compartments: int = 0
    partial_sums: int = 0  # additional compartments, which only sum parts of a row


@dataclass
class Size:
    """What a netlist needs of one target."""

    target: str
    cores: int
    widths: dict[int, int]  # bits -> number of dense weights with so many bits, in rising order
    weight_cores: int = 0  # lower bound, from the weights' bytes alone
    layers: list[LayerSize] = field(default_factory=list)

    @property
    def weights(self) -> int:
        return sum(self.widths.values())

    @property
    def weight_bits(self) -> int:
        """Bits of the widest weight."""
        return max(self.widths, default=0)

    @property
    def synapse_bytes(self) -> int:
        return sum(layer.synapse_bytes for layer in self.layers)

    @property
    def state_bytes(self) -> int:
        return sum(layer.state_bytes for layer in self.layers)

    @property
    def compartments(self) -> int:
        return sum(layer.compartments for layer in self.layers)

    @property
    def memory_compartments(self) -> int:
        return sum(layer.memory_compartments for layer in self.layers)

    @property
    def partial_sums(self) -> int:
        return sum(layer.partial_sums for layer in self.layers)

    @property
    def memory_cores(self) -> int:
        return -int(-sum(layer.memory_cores for layer in self.layers) // 1)

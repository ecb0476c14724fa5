"""Size: how much of a target a netlist needs, by layer, before it is placed."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class LayerSize:
    """One layer (-1: before the first).  Numbers of cores are sums of shares, so not integers."""

    layer: int
    cores: float = 0.0
    written_cores: float = 0.0  # of these, for populations with written synapses and the synapses
    weights: int = 0  # dense synapses
    synapse_bytes: int = 0  # stored, with padding to whole words
    state_bytes: int = 0
    compartments: int = 0
    written: int = 0  # numbers that written synapses hold
    partial_sums: int = 0  # compartments more, that only add up parts of a row


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
    def written(self) -> int:
        return sum(layer.written for layer in self.layers)

    @property
    def partial_sums(self) -> int:
        return sum(layer.partial_sums for layer in self.layers)

    @property
    def written_cores(self) -> int:
        return -int(-sum(layer.written_cores for layer in self.layers) // 1)

"""wiring: the synapse groups of a netlist by source, target and port, indexed once."""

from __future__ import annotations

from typing import Any

from compiler.netlist.model import Network, Pattern, Population, Synapses


class Wiring:
    """An index of a network's synapse groups at the time of construction.

    The ends of every group must be populations of the network; populations may be replaced later.
    """

    def __init__(self, net: Network[Any]) -> None:
        self.net = net
        self._into: dict[str, list[Synapses]] = {name: [] for name in net.populations}
        self._out_of: dict[str, list[tuple[int, Synapses]]] = {name: [] for name in net.populations}
        for i, group in enumerate(net.synapses):
            self._into[group.target].append(group)
            self._out_of[group.source].append((i, group))

    def into(self, name: str, port: str | None = None) -> list[Synapses]:
        """Groups into a population, or into one of its ports."""
        return [group for group in self._into[name] if port in (None, group.port)]

    def out_of(self, name: str) -> list[Synapses]:
        return [group for _, group in self._out_of[name]]

    def numbered_out_of(self, name: str) -> list[tuple[int, Synapses]]:
        """(index in net.synapses, group) of the groups out of a population."""
        return self._out_of[name]

    def ends(self, group: Synapses) -> tuple[Population, Population]:
        return self.net.populations[group.source], self.net.populations[group.target]

    def source(self, name: str, port: str) -> str:
        """Name of the source of the first group into a port."""
        return self.into(name, port)[0].source

    def pattern(self, group: Synapses) -> Pattern | None:
        """The group's form if it is a Pattern, else None."""
        return group.form if isinstance(group.form, Pattern) else None

    def arrivals(self, group: Synapses) -> tuple[int, ...]:
        """Steps at which the group's spikes arrive: one after those at which they are sent."""
        return tuple(step + 1 for step in self.net.populations[group.source].sends)

    def coder(self, name: str) -> Population | None:
        """The population whose code a population's spikes have: itself, or the reader of a memory.

        None for a memory that no population reads, or that another memory reads.
        """
        population: Population = self.net.populations[name]
        port = population.does.recalled_by
        if not port:
            return population
        readers = [self.net.populations[group.source] for group in self.into(name, port)]
        return next((reader for reader in readers[:1] if not reader.does.recalled_by), None)

    def receivers(self, name: str) -> list[Synapses]:
        """The groups that carry a population's spikes, or their products with a memory's content.

        In the order of the netlist; a group that reads a memory is replaced by those out of it.
        """
        groups: list[Synapses] = []
        for group in self.out_of(name):
            target = self.net.populations[group.target]
            reads = group.port == target.does.recalled_by
            groups += self.out_of(group.target) if reads else [group]
        return groups

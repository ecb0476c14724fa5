"""wiring: the synapse groups of a netlist by source, target and port, indexed once."""

from __future__ import annotations

from typing import Any

from compiler.netlist.model import Network, Pattern, Population, Synapses


class Wiring:
    """An index of `net.synapses` as they are now; populations are looked up when asked for.

    The ends of every group must be populations of the netlist.
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
        """(index in net.synapses, group) of the groups that a population sends to."""
        return self._out_of[name]

    def ends(self, group: Synapses) -> tuple[Population, Population]:
        return self.net.populations[group.source], self.net.populations[group.target]

    def source(self, name: str, port: str) -> str:
        """The population that the first group into a port comes from."""
        return self.into(name, port)[0].source

    def pattern(self, group: Synapses) -> Pattern | None:
        """The group's form, if its synapses follow named axes."""
        return group.form if isinstance(group.form, Pattern) else None

    def arrivals(self, group: Synapses) -> tuple[int, ...]:
        """Steps in which the group's spikes arrive: one after they are sent."""
        return tuple(step + 1 for step in self.net.populations[group.source].sends)

    def coder(self, name: str) -> Population | None:
        """Whose code a population's spikes have: its own; a store's are those of what reads it.

        None: a store that nobody reads, or another store, whose values are no code.
        """
        population: Population = self.net.populations[name]
        port = population.does.recalled_by
        if not port:
            return population
        readers = [self.net.populations[group.source] for group in self.into(name, port)]
        return next((reader for reader in readers[:1] if not reader.does.recalled_by), None)

    def receivers(self, name: str) -> list[Synapses]:
        """The groups whose sums take a population's spikes, or the products a store makes of them.

        Groups are in the order of the netlist; those out of a store follow in its place.
        """
        groups: list[Synapses] = []
        for group in self.out_of(name):
            target = self.net.populations[group.target]
            recalled = group.port == target.does.recalled_by
            groups += self.out_of(group.target) if recalled else [group]
        return groups

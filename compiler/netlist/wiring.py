"""wiring: the synapse groups of a netlist by source, target and port, indexed once."""

from __future__ import annotations

from typing import Any

from compiler.netlist.model import Network, Pattern, Population, Synapses, Written


class Wiring:
    """An index of a network's synapse groups at the time of construction.

    The ends of every group must be populations of the network; populations may be replaced later.
    """

    def __init__(self, net: Network[Any]) -> None:
        self.net = net
        self._into: dict[str, list[tuple[int, Synapses]]] = {name: [] for name in net.populations}
        self._out_of: dict[str, list[tuple[int, Synapses]]] = {name: [] for name in net.populations}
        self.written: list[tuple[int, Written]] = []  # index in net.synapses
        for i, group in enumerate(net.synapses):
            if isinstance(group.form, Written):
                self.written.append((i, group.form))
            self._into[group.target].append((i, group))
            self._out_of[group.source].append((i, group))

    def into(self, name: str, port: str | None = None) -> list[Synapses]:
        """Groups into a population, or into one of its ports."""
        return [group for _, group in self._into[name] if port in (None, group.port)]

    def numbered_into(self, name: str) -> list[tuple[int, Synapses]]:
        """(index in net.synapses, group) of the groups that a population hears."""
        return self._into[name]

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

    def reads(self, name: str) -> list[Written]:
        """The written synapses that a population's spikes meet."""
        return [g.form for g in self.out_of(name) if isinstance(g.form, Written)]

    def points(self, name: str) -> list[Written]:
        """The written synapses whose slots a pointer chooses."""
        return [form for _, form in self.written if form.pointer == name]

    def writes(self, name: str) -> list[Written]:
        """The written synapses that take a population's payloads."""
        return [form for _, form in self.written if form.value == name]

"""precision: how much each part of a graph is spent on; the compiler's passes read the attributes.

`planes`: int8 synapse groups a weight is made of, 1 or 2; stored keys and values have their bits to
match.
"""

from __future__ import annotations

from dataclasses import replace

from las_neuro.errors import ConfigError
from las_neuro.graph import Graph

PLANES = (1, 2)
PLANED = ("linear", "memory")


def with_planes(graph: Graph, planes: int) -> Graph:
    """The same graph, every linear map's weights in `planes` planes, and memories to match."""
    if planes not in PLANES:
        raise ConfigError(f"{planes} weight planes are not possible", "use 1 or 2")
    out = graph.empty_like()
    for node in graph:
        attrs = {**node.attrs, "planes": planes} if node.op in PLANED else node.attrs
        out.nodes[node.name] = replace(node, attrs=attrs)
    return out

"""The dataflow graph: its operators and attributes, its nodes, and what a sound graph keeps."""

from las_neuro.graph.attributes import LEVELS, MODEL, PHASED, SPIKING, Level
from las_neuro.graph.graph import Graph, Value
from las_neuro.graph.node import SLOTS, Axes, Floats, Node, Range, Tensor
from las_neuro.graph.ops import ACTIVATIONS, FUNCTIONS, OPS, at_level
from las_neuro.graph.verify import verify

__all__ = [
    "ACTIVATIONS",
    "FUNCTIONS",
    "LEVELS",
    "MODEL",
    "OPS",
    "PHASED",
    "SLOTS",
    "SPIKING",
    "Axes",
    "Floats",
    "Graph",
    "Level",
    "Node",
    "Range",
    "Tensor",
    "Value",
    "at_level",
    "verify",
]

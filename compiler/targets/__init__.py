"""Hardware limits as data: one file per system, each figure with its source."""

from compiler.targets.target import Figure, Target, load, names

__all__ = ["Figure", "Target", "load", "names"]

"""Quality measures: how accurate a netlist is, and how close it is to its float model."""

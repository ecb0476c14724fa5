"""How well a netlist does, and how near it stays to its float model."""

"""What each operator of a netlist may be off by, and whether a run keeps to it."""

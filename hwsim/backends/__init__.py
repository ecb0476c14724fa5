"""What executes a netlist: one folder a backend."""

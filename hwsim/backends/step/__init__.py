"""The reference engine: one time step after the other."""

"""Weights as integers: rounding and equalisation."""

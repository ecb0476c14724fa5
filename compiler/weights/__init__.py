"""Weights as integers: rounding, equalisation."""

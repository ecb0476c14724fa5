"""Scalar functions as piecewise linear tables of integers."""

"""Scalar functions as integer lines."""

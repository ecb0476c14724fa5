"""Scalar functions as tables of integer lines."""

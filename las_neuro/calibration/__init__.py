"""What a model is calibrated on, and the ranges measured there."""

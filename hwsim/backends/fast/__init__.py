"""The fast engine: whole windows at once."""

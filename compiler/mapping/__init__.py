"""Populations on cores: what they take of a core, how they are cut and where they are placed."""

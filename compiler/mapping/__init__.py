"""Mapping of populations to cores: what they use of a core, how they are cut, where they go."""

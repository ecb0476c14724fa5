"""The float model to compare with; las_neuro's only door to torch and transformers."""

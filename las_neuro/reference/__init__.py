"""The float model to compare with, in torch and transformers."""

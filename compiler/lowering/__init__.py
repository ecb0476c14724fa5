"""Lowering rules, one per graph operator: the populations and synapses that compute it."""

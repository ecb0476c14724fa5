"""How values become spikes: codes, firing neurons, thresholds, imported tables."""

"""One lowering rule a graph operator: what populations and synapses it becomes."""

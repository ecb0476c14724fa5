"""las_neuro: from a Hugging Face checkpoint to a graph that a published method has made spiking.

    from las_neuro import Checkpoint
    checkpoint = Checkpoint.open("path/to/model")

`compiler` calibrates the graph and makes a netlist of it, `hwsim` runs the netlist.  Importing this
package does not import torch; only code that computes with weights does.
"""

from las_neuro.checkpoint import Checkpoint

__all__ = ["Checkpoint"]

"""reference: the float model that a netlist was compiled from, as the reference of measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.netlist.model import Netlist
from las_neuro.architectures import draw
from las_neuro.checkpoint import Checkpoint
from las_neuro.errors import ConfigError

if TYPE_CHECKING:
    from las_neuro.graph import Graph


def float_model(path: Path | None, net: Netlist) -> Any:
    """The model as a function of tokens [B, S] or images [B, channels, height, width].

    None without a path.  Raises `ConfigError` where its family, vocabulary or output is not the
    netlist's.
    """
    if path is None:
        return None
    checkpoint = Checkpoint.open(path)
    check_model(path, draw(checkpoint), net)
    from las_neuro.reference.model import FloatModel  # torch is slow to import

    return getattr(FloatModel.load(checkpoint), net.output_kind)  # logits, hidden or classes


def check_model(path: Path, graph: Graph, net: Netlist) -> None:
    """Raise `ConfigError` where the model at `path`, whose graph is given, is not the netlist's."""
    model, netlist = _described(graph, output_kind(graph)), described(net)
    if model != netlist:
        raise ConfigError(
            f"{path}: is {model}, the netlist {netlist}",
            "name the model that the netlist was compiled from",
        )


def output_kind(graph: Graph) -> str:
    """Kind of a model's outputs: "logits", "hidden" or "classes"."""
    return str(graph["output"]["kind"])


def described(net: Netlist) -> str:
    """Description in words that is the same for a model and all its netlists."""
    return _described(net, net.output_kind)


def _described(model: Graph | Netlist, output: str) -> str:
    inputs = f"{model.vocabulary} words"
    if model.pixels:
        inputs = f"{model.context} tokens of {model.pixels} pixels"
    return f"{model.family} with {inputs} that gives {output}"

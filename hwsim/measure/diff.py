"""diff: compare two models or netlists on one text, node by node: `las-diff` in Python.

Each side is a model (run in float32) or a netlist (run on a backend).  The first is the reference;
of a model and a netlist, the model always is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from compiler.netlist.model import Netlist
from hwsim.accounts.depth_error import BUDGET, DepthComparison
from hwsim.backends import DEFAULT, find
from hwsim.backends.backend import RUN_SECONDS
from hwsim.generate import open_netlist
from hwsim.measure.evaluate import batched, read_passages, read_sequences
from hwsim.measure.first_spike import TRACED, spikes_beside
from hwsim.measure.reference import check_model, described, output_kind
from las_neuro.checkpoint import Checkpoint
from las_neuro.errors import ConfigError, UnsupportedError
from las_neuro.files import sha256_of
from las_neuro.graph import Graph
from las_neuro.progress import Progress, silent
from las_neuro.rows import Rows

HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class Side:
    """One of the two models or netlists; `net` is None for a model, `checkpoint` for a netlist."""

    path: Path
    backend: str
    net: Netlist | None
    checkpoint: Checkpoint | None

    @staticmethod
    def open(path: Path, backend: str) -> Side:
        if _is_netlist(path):
            find(backend)
            return Side(path, backend, open_netlist(path), None)
        return Side(path, backend, None, Checkpoint.open(path))

    def graph(self, net: Netlist | None) -> Graph:
        """The model's spiking graph, for the system and the context of a netlist."""
        from las_neuro import systems
        from las_neuro.architectures import draw

        assert self.checkpoint is not None
        options = {} if net is None else net.provenance.get("options", {})
        method = systems.find(options.get("system", "las"), options.get("system_options"))
        model = draw(self.checkpoint, None if net is None else net.context)
        return method.spiking(model, self.checkpoint)

    def __str__(self) -> str:
        name = self.path.resolve().name
        return f"{name} in float32" if self.net is None else f"{name} on {self.backend}"


def diff(
    first: Path | str,
    second: Path | str,
    text: Path | str,
    *,
    backends: tuple[str, str] = (DEFAULT, DEFAULT),
    max_tokens: int = 512,
    budget: float = BUDGET,
    timeout: float = RUN_SECONDS,
    progress: Progress = silent,
) -> DepthComparison:
    """Compare two runs on the first tokens of a text, node by node.

    budget: a node's largest carried error.  Raises ConfigError for models or netlists that cannot
    be compared, UnsupportedError for vision models.
    """
    one, two = (
        Side.open(Path(path), name) for path, name in zip((first, second), backends, strict=True)
    )
    if one.net is not None and two.net is None:
        one, two = two, one
    sequences = read_sequences(_reading(one, two), Path(text), max_tokens)
    outputs = two.net.populations[two.net.output].n if two.net is not None else 1
    batches = [tokens for _, tokens in batched(sequences, outputs)]
    comparison = compare_sides(one, two, batches, progress, timeout)
    comparison.budget = budget
    return comparison


def compare_sides(
    one: Side,
    two: Side,
    batches: Sequence[Rows],
    progress: Progress = silent,
    timeout: float = RUN_SECONDS,
) -> DepthComparison:
    """Compare the second run with the first, on the same batches."""
    from hwsim.measure import depth  # torch is slow to import

    tokens = sum(rows.shape[0] * rows.shape[1] for rows in batches)
    labels = (str(one), str(two), tokens, sum(map(len, batches)))
    if two.net is None:
        graphs = one.graph(None), two.graph(None)
        return DepthComparison(*labels, depth.between_models(graphs, batches, progress=progress))
    if one.net is None:
        graph = one.graph(two.net)
        check_model(one.path, graph, two.net)
        rows = depth.against_model(
            two.net, graph, batches, two.backend, progress=progress, timeout=timeout
        )
        return DepthComparison(*labels, rows)
    nets, backends = (one.net, two.net), (one.backend, two.backend)
    rows, sequence = depth.between_netlists(
        nets, batches, backends, progress=progress, timeout=timeout
    )
    same = sha256_of(one.path) == sha256_of(two.path)
    if sequence is None:
        sequence = batches[0][:1, : TRACED if nets[0].causal else None]
    spikes = spikes_beside(nets, backends, [[token] for token in sequence[0].tolist()], timeout)
    return DepthComparison(*labels, rows, same=same, spikes=spikes)


def depth_beside(
    net: Netlist,
    reference: Path | None,
    text: Path | None,
    *,
    limit: int,
    lines: bool = False,
    progress: Progress = silent,
) -> DepthComparison:
    """Compare a netlist with its model, node by node: `las-eval --depth`.

    Raises ConfigError without a reference or a text.
    """
    if reference is None or text is None:
        raise ConfigError(
            "--depth compares a netlist with its model on a text",
            "give --text FILE and --reference MODEL too",
        )
    sequences = [passage.ids for passage in read_passages(net, text, limit, lines)]
    predicts = net.output_kind == "logits"  # the last token is only predicted
    inputs = [ids[:-1] for ids in sequences] if predicts else sequences
    batches = [tokens for _, tokens in batched(inputs, net.populations[net.output].n)]
    spiking = Side(Path(f"{net.family} netlist"), DEFAULT, net, None)
    return compare_sides(Side.open(reference, DEFAULT), spiking, batches, progress)


def _is_netlist(path: Path) -> bool:
    """Whether a file is a netlist: by its first bytes, or by its name if it does not exist."""
    if path.is_dir():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(HDF5)) == HDF5 or path.suffix == ".h5"
    except OSError:
        return path.suffix == ".h5"


def _reading(one: Side, two: Side) -> Netlist:
    """A netlist to read the text with: the shorter context of both and a tokenizer of either."""
    nets = [_as_netlist(side) for side in (one, two)]
    a, b = nets
    for side, net in ((one, a), (two, b)):
        if net.vocabulary == 0:
            raise UnsupportedError(
                f"{side.path} is a {net.family} model: it reads images, las-diff reads text",
                "compare a language model; las-eval compares a vision model with its netlist",
            )
    if described(a) != described(b):
        raise ConfigError(
            f"{one.path}: is {described(a)}, {two.path} {described(b)}",
            "compare a model with its own netlist, or two of one architecture",
        )
    shortest = min(a.context, b.context)
    return replace(b, context=shortest, tokenizer=b.tokenizer or a.tokenizer)


def _as_netlist(side: Side) -> Netlist:
    """The netlist; for a model an empty one that has what reading a text needs."""
    if side.net is not None:
        return side.net
    from las_neuro.reference.tokenizer import tokenizer_json

    graph = side.graph(None)
    assert side.checkpoint is not None
    words = tokenizer_json(side.checkpoint.folder)
    blank = Netlist(
        graph.family, graph.causal, graph.context, graph.vocabulary, "", output_kind(graph)
    )
    return replace(blank, tokenizer=words)

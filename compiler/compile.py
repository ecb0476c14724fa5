"""compile: the whole street in one call, from a checkpoint to a placed and checked netlist.

    from compiler import compile
    net = compile("path/to/model", target="auto")

What cannot work is refused from shapes alone, before a weight is read or torch is imported.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.netlist.model import Netlist
from compiler.options import Options
from compiler.precision import with_planes
from las_neuro.checkpoint import Checkpoint
from las_neuro.errors import CalibrationError, ConfigError, TargetError, UnsupportedError
from las_neuro.graph import Graph
from las_neuro.neurons.few_spikes import Tables, read_tables, with_tables
from las_neuro.systems.las import Las

if TYPE_CHECKING:
    from compiler.budget import Chosen
    from las_neuro.convert import Measured

Watch = Callable[[str, str], None]  # called with a pass's name and what it left, as text
Progress = Callable[[str, int, int], None]  # stage, done, of

PASSES = (
    "convert",
    "split_phases",
    "lower",
    "fit_digits",
    "schedule",
    "prove_widths",
    "fold_scales",
    "partition",
    "place",
)
SELF_TAUGHT = "tokens the model drew itself; random tokens or pixels for an encoder; seed 0"


def compile(
    model: Path | str,
    options: Options | None = None,
    *,
    watch: Watch | None = None,
    progress: Progress | None = None,
    **asked: Any,
) -> Netlist:
    """Compile a model folder, `.safetensors` file or index.

    options, or their names as keywords: compile(model, steps=12, planes=2).
    """
    from compiler.netlist.check import check
    from compiler.pipeline import build
    from las_neuro.reference.tokenizer import tokenizer_json

    wanted = replace(options or Options(), **asked)
    checkpoint = Checkpoint.open(model)
    calibration = _digest(wanted.calibrate) if wanted.calibrate else SELF_TAUGHT
    planned = build(planned_graph(checkpoint.config_path, wanted), weights=False)
    if wanted.builtin_only:
        refuse_custom_kinds(planned)
    _foresee(planned, wanted.target, checkpoint)
    graph, chosen = _rounded(model, wanted, progress)
    if watch:
        watch("convert", graph.text() + "\n")
    net = build(graph, watch=watch, progress=progress)
    net.tokenizer = tokenizer_json(checkpoint.folder)
    net.provenance = _provenance(
        checkpoint, calibration, wanted.record(graph) | {"context": net.context}
    )
    if wanted.tables:
        net.provenance["inputs"]["tables"] = hashlib.sha256(wanted.tables.read_bytes()).hexdigest()
    if chosen is not None:
        net.provenance["error_budget"] = chosen.record()
    net = _settle(net, wanted.target, watch, progress)
    check(net)
    return net


def planned_graph(config: Path, wanted: Options) -> Graph:
    """The graph that a config.json implies, without weights."""
    from las_neuro.convert import plan_graph

    tables = _tables(wanted)
    graph = plan_graph(config, wanted.context, system=wanted.method)
    return with_planes(with_tables(graph, tables) if tables else graph, wanted.planes)


def _tables(wanted: Options) -> Tables | None:
    return read_tables(wanted.tables, wanted.subtract_first) if wanted.tables else None


def _rounded(
    model: Path | str, wanted: Options, progress: Progress | None
) -> tuple[Graph, Chosen | None]:
    """The model's spiking graph, calibrated, its weights rounded, its codes chosen."""
    from compiler.passes.round_weights import round_weights
    from las_neuro.convert import measured
    from las_neuro.training.omniquant import learn

    found = measured(
        model,
        system=wanted.method,
        calibrate=wanted.calibrate,
        context=wanted.context,
        progress=progress,
    )

    if wanted.error_budget is not None:
        return _within_budget(found, wanted, progress)
    tables = _tables(wanted)
    graph = with_tables(found.graph, tables) if tables else found.graph
    graph = with_planes(graph, wanted.planes)
    if found.lifelike:
        graph = learn(graph, found.batches, progress)
        graph = round_weights(graph, found.batches, progress)
    return wanted.method.threshold(graph), None


def _within_budget(
    found: Measured, wanted: Options, progress: Progress | None
) -> tuple[Graph, Chosen]:
    from compiler.budget import keep_budget

    assert wanted.error_budget is not None
    method = wanted.method
    if not isinstance(method, Las):
        raise ConfigError(
            f"an error budget chooses LAS's codes, not those of {wanted.system}",
            "leave --error-budget out, or use --system las",
        )
    if not found.lifelike:
        raise ConfigError(
            "an error budget for an encoder needs text like the one to come",
            "name some with --calibrate FILE",
        )
    chosen = keep_budget(
        found.graph,
        found.batches,
        wanted.error_budget,
        method.steps,
        lambda graph, digits: replace(method, steps=digits).threshold(graph),
        progress or (lambda stage, done, of: None),
    )
    return chosen.graph, chosen


def _foresee(planned: Netlist, target: str, checkpoint: Checkpoint) -> None:
    """Raise where the target cannot run the netlist, or is too small for it."""
    from compiler.mapping.limits import check_limits
    from compiler.targets.target import load

    try:
        if target != "auto":
            check_limits(planned, load(target))
        _choose(planned, target)
    except TargetError as error:  # passes do not know the model's name
        raise TargetError(f"{checkpoint.folder}: {error.what}", error.remedy) from error


def refuse_custom_kinds(net: Netlist) -> None:
    """Raise at the first population that needs custom microcode on a chip."""
    for population in net.populations.values():
        if population.does.lava is None:
            raise UnsupportedError(
                f"population {population.name} is of kind {population.kind}, which no built-in "
                "Lava process equals",
                "leave out --builtin-only: the simulators run every kind",
            )


def _settle(
    net: Netlist, target_name: str, watch: Watch | None, progress: Progress | None
) -> Netlist:
    """Choose the target, then give everything a core on it."""
    from compiler.mapping.limits import check_limits
    from compiler.mapping.partition import partition
    from compiler.mapping.place import place

    tell = progress or (lambda stage, done, of: None)
    tell("place", 0, 2)
    target = _choose(net, target_name)
    net = partition(net, target)
    if watch:
        watch("partition", _sites(net))
    tell("place", 1, 2)
    net = place(net, target)
    if watch:
        watch("place", _sites(net))
    check_limits(net, target)
    tell("place", 2, 2)
    return net


def _choose(net: Netlist, name: str) -> Any:
    """The target of that name, or the smallest that fits; `TargetError` where none does."""
    from compiler.mapping.limits import choose_target
    from compiler.mapping.partition import count
    from compiler.mapping.plan import narrowed
    from compiler.targets.target import automatic, load

    measured = load(automatic()[-1] if name == "auto" else name)
    size = count(net, measured)
    narrow = count(narrowed(net), measured) if size.cores > measured.cores else None
    return choose_target(size, name, narrow)


def _sites(net: Netlist) -> str:
    """The placement as text, one tile or block a line."""
    assert net.placement is not None
    lines = [f"cores  {net.placement.cores}  chips {net.placement.chips}"]
    for tile in net.placement.tiles:
        lines.append(f"tile  {tile.population}[{tile.start}:{tile.stop}]  core {tile.core}")
    for block in net.placement.blocks:
        rows, cols = (f"{first}:{stop}" for first, stop in (block.rows, block.cols))
        name = net.synapses[block.group].name
        lines.append(f"block  {name}[{rows}, {cols}]  core {block.core}")
    return "\n".join(lines) + "\n"


def _provenance(
    checkpoint: Checkpoint, calibration: str, options: dict[str, Any]
) -> dict[str, Any]:
    """What the netlist was made of and how; no time, no path: equal inputs give equal bytes."""
    from las_neuro.terminal import PACKAGE, tool_version  # typer is for commands

    inputs = dict(checkpoint.sha256)
    for name in ("config.json", "tokenizer.json", "preprocessor_config.json"):
        path = checkpoint.folder / name
        if path.is_file():
            inputs[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return {
        "tool": f"{PACKAGE} {tool_version()}",
        "inputs": inputs,
        "calibration": calibration,
        "options": options,
        "end_tokens": end_tokens(checkpoint),
    }


def end_tokens(checkpoint: Checkpoint) -> list[int]:
    """Tokens after which the model's own settings stop a text."""
    found: Any = None
    path = checkpoint.folder / "generation_config.json"
    if path.is_file():
        try:
            found = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id")
        except (OSError, ValueError, AttributeError) as error:
            raise ConfigError(
                f"{path}: not a readable JSON object ({error})",
                "fetch the file again, or remove it",
            ) from error
    if found is None:
        found = checkpoint.config.get("eos_token_id")
    listed = found if isinstance(found, list) else [found]
    return [token for token in listed if type(token) is int]


def _digest(path: Path) -> str:
    """sha256 of the calibration text, which must hold something."""
    try:
        with path.open("rb") as file:
            digest, some = hashlib.sha256(), False
            while block := file.read(1 << 20):
                digest.update(block)
                some = some or bool(block.strip())
    except OSError as error:
        raise CalibrationError(
            f"{path}: cannot be read ({error.strerror})", "check the path"
        ) from error
    if not some:
        raise CalibrationError(f"{path}: is empty", "give at least a few sentences")
    return f"sha256 {digest.hexdigest()}"

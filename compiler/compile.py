"""compile: from a checkpoint to a placed and checked netlist, in one call.

    from compiler import compile
    net = compile("path/to/model", target="auto")

A model that the target cannot run is refused from its shapes, before weights are read or torch is
imported.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.options import Options
from compiler.passes.contract import Pass
from compiler.pipeline import PLANNED, Watch, run
from compiler.task import Task
from compiler.timing import Timing
from las_neuro.checkpoint import Checkpoint, read_json
from las_neuro.errors import CalibrationError, ConfigError, TargetError
from las_neuro.files import sha256_of
from las_neuro.progress import Progress, silent

if TYPE_CHECKING:
    from compiler.lowering.network import LoweredNetwork
    from compiler.netlist.model import Netlist

SELF_TAUGHT = "tokens the model drew itself; random tokens or pixels for an encoder; seed 0"


def compile(
    model: Path | str,
    options: Options | None = None,
    *,
    watch: Watch | None = None,
    progress: Progress = silent,
    **overrides: Any,
) -> Netlist:
    """Compile a model folder, `.safetensors` file or index to a placed and checked netlist.

    Options may also be given as keywords: compile(model, steps=12, weight_planes=2).
    watch(pass, network, timing) is called after every pass, progress(stage, done, of) during some.
    Raises LasError where the model, the options or the target make the compilation impossible.
    """
    options = (options or Options()).changed(overrides)
    checkpoint = Checkpoint.open(model)
    calibration = _digest(options.calibrate) if options.calibrate else SELF_TAUGHT
    foresee(checkpoint, options)
    task = Task(checkpoint, options, options.method, progress=progress)
    steps: list[int] = []

    def observe(one: Pass, network: Any, timing: Timing | None) -> None:
        if one.result == "phased":
            steps.extend(node["trained"] for node in network if node.op == "encode")
        if watch:
            watch(one, network, timing)

    net: Netlist = run(task, watch=observe)
    net.tokenizer = _tokenizer(checkpoint)
    net.provenance = {
        **_provenance(checkpoint, calibration, options),
        "options": options.record(max(steps)) | {"context": net.context},
        **task.record,
    }
    return net


def planned(config: Path | str, options: Options) -> LoweredNetwork:
    """The scheduled network that a config.json gives with these options, from shapes only."""
    checkpoint = Checkpoint.from_config(config)
    task = Task(checkpoint, options, options.method, weights=False)
    network: LoweredNetwork = run(task, until=PLANNED)
    return network


def foresee(checkpoint: Checkpoint, options: Options) -> None:
    """Raise TargetError where the target cannot run the model or is too small for it."""
    from compiler.mapping.limits import check_limits, fitting_target
    from compiler.targets import load

    network = planned(checkpoint.config_path, options)
    try:
        if options.target != "auto":
            check_limits(network, load(options.target))
        fitting_target(network, options.target)
    except TargetError as error:  # the checks do not know the model's path
        raise TargetError(f"{checkpoint.folder}: {error.what}", error.remedy) from error


def _tokenizer(checkpoint: Checkpoint) -> str | None:
    from las_neuro.reference.tokenizer import tokenizer_json

    return tokenizer_json(checkpoint.folder)


def _provenance(checkpoint: Checkpoint, calibration: str, options: Options) -> dict[str, Any]:
    """Inputs and settings of the netlist; no time and no path, so equal inputs give equal bytes."""
    from las_neuro.terminal import PACKAGE, tool_version  # imports typer, which only commands need

    inputs = dict(checkpoint.sha256)
    for name in ("config.json", "tokenizer.json", "preprocessor_config.json"):
        path = checkpoint.folder / name
        if path.is_file():
            inputs[name] = sha256_of(path)
    if options.tables:
        inputs["tables"] = sha256_of(options.tables)
    return {
        "tool": f"{PACKAGE} {tool_version()}",
        "inputs": inputs,
        "calibration": calibration,
        "end_tokens": end_tokens(checkpoint),
    }


def end_tokens(checkpoint: Checkpoint) -> list[int]:
    """Tokens that end a text, by `eos_token_id` of generation_config.json or else config.json.

    Ids outside the vocabulary are left out: the model cannot produce them (-1 stands for none).
    """
    value: Any = None
    path = checkpoint.folder / "generation_config.json"
    if path.is_file():
        value = read_json(path, ConfigError).get("eos_token_id")
    if value is None:
        value = checkpoint.config.get("eos_token_id")
    vocabulary = checkpoint.config.get("vocab_size", 0)
    tokens = value if isinstance(value, list) else [value]
    return [token for token in tokens if type(token) is int and 0 <= token < vocabulary]


def _digest(path: Path) -> str:
    """sha256 of the calibration text; raises CalibrationError where it is unreadable or blank."""
    try:
        with path.open("rb") as file:
            digest, has_text = hashlib.sha256(), False
            while block := file.read(1 << 20):
                digest.update(block)
                has_text = has_text or bool(block.strip())
    except OSError as error:
        raise CalibrationError(
            f"{path}: cannot be read ({error.strerror})", "check the path"
        ) from error
    if not has_text:
        raise CalibrationError(f"{path}: is empty", "give at least a few sentences")
    return f"sha256 {digest.hexdigest()}"

"""A Hugging Face checkpoint on disk: config.json and safetensors, memory-mapped, never unpickled.

Tensors are returned lazily, their shapes checked, so that a model of any size can be drawn before
a weight is read, and then be converted with one layer in memory at a time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from las_neuro.errors import CheckpointError, ConfigError, LasError
from las_neuro.graph import Floats, Tensor
from las_neuro.weight_file import WeightFile

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl"}
JSON_LIMIT = 64 << 20  # bytes; the index of the largest public model is below 1 MiB


@dataclass(frozen=True)
class Checkpoint:
    """A model folder: its config, and where each tensor lies.

    weights: tensor name -> the file that holds it; None for a plan, which knows shapes only.
    """

    config_path: Path
    config: Mapping[str, Any]
    weights: Mapping[str, WeightFile] | None

    @staticmethod
    def open(path: Path | str) -> Checkpoint:
        """Open a folder (or the config.json in it), a `.safetensors` file, or its shards' index."""
        path = Path(path)
        try:
            source = _source(path.parent if path.name == "config.json" else path)
            config_path = source.parent / "config.json"
            config = _read_config(config_path)
            if source.suffix == ".json":
                return Checkpoint(config_path, config, _sharded(source))
            file = WeightFile.open(source)
        except OSError as error:
            raise CheckpointError(
                f"{path}: cannot be read ({error.strerror})", "check the path and its permissions"
            ) from error
        return Checkpoint(config_path, config, dict.fromkeys(file.entries, file))

    @staticmethod
    def from_config(path: Path | str) -> Checkpoint:
        """Shapes only, from a `config.json` or its folder: enough to plan a model of any size."""
        path = Path(path)
        config_path = path / "config.json" if path.is_dir() else path
        return Checkpoint(config_path, _read_config(config_path), None)

    @property
    def folder(self) -> Path:
        return self.config_path.parent

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The weight files, in name order; none for a plan."""
        return tuple(sorted({file.path for file in (self.weights or {}).values()}))

    @cached_property
    def sha256(self) -> dict[str, str]:
        """File name -> sha256 (hex) of its content, computed when first asked."""
        unique = {file.path: file for file in (self.weights or {}).values()}
        return {path.name: unique[path].sha256() for path in self.files}

    def has(self, name: str) -> bool:
        """Whether the tensor exists; a plan has every tensor its config implies."""
        return self.weights is None or name in self.weights

    def tensor(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """The tensor `name`, which config.json implies to be `shape`; read when first loaded."""
        if self.weights is None:
            return Tensor(name, shape, lambda: self._refuse_load(name))
        file = self.weights.get(name)
        if file is None:
            where = ", ".join(path.name for path in self.files[:3])
            raise CheckpointError(
                f"{self.folder}: tensor {name} is in none of its weight files ({where})",
                "check that config.json belongs to these weights",
            )
        actual = file.entries[name].shape
        if actual != shape:
            raise CheckpointError(
                f"{file.path}: tensor {name} is {list(actual)}, config.json implies {list(shape)}",
                "check that config.json belongs to these weights",
            )
        return Tensor(name, shape, lambda: file.read(name))

    def _refuse_load(self, name: str) -> Floats:
        raise CheckpointError(
            f"{self.config_path}: a plan holds no weights, so tensor {name} cannot be read",
            f"open a folder that also holds {SINGLE}",
        )


@dataclass(frozen=True)
class Weights:
    """The tensors under one prefix: `w["q_proj.weight", (out, in)]`, `w.under("layers.0")`."""

    checkpoint: Checkpoint
    prefix: str = ""

    @staticmethod
    def of(checkpoint: Checkpoint, prefixes: Sequence[str], probe: str) -> Weights:
        """The view under the first prefix with which tensor `probe` exists.

        The same tensors have a prefix in a family's model with a head, and none in its base model.
        """
        for prefix in prefixes:
            if checkpoint.has(prefix + probe):
                return Weights(checkpoint, prefix)
        return Weights(checkpoint, prefixes[0])  # reading a tensor then reports it as missing

    def __getitem__(self, key: tuple[str, tuple[int, ...]]) -> Tensor:
        name, shape = key
        return self.checkpoint.tensor(self.prefix + name, shape)

    def either(self, names: Sequence[str], shape: tuple[int, ...]) -> Tensor:
        """The tensor under the first of several historical names that exists."""
        present = (name for name in names if self.checkpoint.has(self.prefix + name))
        return self[next(present, names[0]), shape]

    def under(self, prefix: str) -> Weights:
        return Weights(self.checkpoint, f"{self.prefix}{prefix}.")


def _source(path: Path) -> Path:
    """The weight file or index that `path` means."""
    _refuse_pickle(path)
    if not path.exists():
        raise CheckpointError(f"{path}: no such file or folder", "check the path")
    return _weights_in(path) if path.is_dir() else path


def _weights_in(folder: Path) -> Path:
    for name in (SINGLE, INDEX):
        if (folder / name).exists():
            return folder / name
    for path in sorted(folder.iterdir()):
        _refuse_pickle(path)
    raise CheckpointError(
        f"{folder}: holds neither {SINGLE} nor {INDEX}",
        "name the folder of a Hugging Face model, or its .safetensors file",
    )


def _refuse_pickle(path: Path) -> None:
    if path.suffix in PICKLES or path.name.endswith(".bin.index.json"):
        raise CheckpointError(
            f"{path}: is a pickle, which can run code when opened, and is refused",
            "convert it to safetensors (model.save_pretrained(folder, safe_serialization=True))",
        )


def _sharded(index: Path) -> dict[str, WeightFile]:
    """Tensor name -> shard; checks that each tensor listed in the index is in its shard."""
    parsed = read_json(index, CheckpointError)
    names = parsed.get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise CheckpointError(f"{index}: has no weight_map of names", "fetch the file again")
    shards: dict[str, WeightFile] = {}
    for name in sorted(set(names.values())):
        # Links are followed (the hub's cache is made of them), names with a folder are not.
        if Path(name).name != name or "\\" in name or not name.endswith(".safetensors"):
            raise CheckpointError(
                f"{index}: shard {name!r} is not a .safetensors file name inside the folder",
                "fetch the model again from a source you trust",
            )
        if not (index.parent / name).is_file():
            raise CheckpointError(f"{index}: shard {name} is missing", "fetch that file too")
        shards[name] = WeightFile.open(index.parent / name)
    for tensor, name in names.items():
        if tensor not in shards[name].entries:
            raise CheckpointError(
                f"{index}: tensor {tensor} is not in shard {name}", "fetch index and shards again"
            )
    return {tensor: shards[name] for tensor, name in names.items()}


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(
            f"{path}: missing", "put the model's config.json beside its weight files"
        )
    return read_json(path, ConfigError)


def read_json(path: Path, error_class: type[LasError]) -> dict[str, Any]:
    """The JSON object in a file of the checkpoint's folder; raises `error_class`."""
    try:
        if path.stat().st_size > JSON_LIMIT:
            raise error_class(f"{path}: larger than {JSON_LIMIT} bytes", "check the path")
        parsed = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise error_class(
            f"{path}: not a readable JSON file ({error})", "fetch the file again"
        ) from error
    if not isinstance(parsed, dict):
        raise error_class(f"{path}: is not a JSON object", "fetch the file again")
    return parsed

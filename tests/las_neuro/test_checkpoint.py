"""Hostile and broken model folders: each gives one line that names the file and the way out."""

from __future__ import annotations

import json
import os
import pickle  # noqa: TID251 - makes the file that must be refused
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from las_neuro import Checkpoint
from las_neuro.architectures import draw
from las_neuro.errors import CheckpointError, ConfigError, LasError
from las_neuro.graph import Tensor

SaveModel = Callable[..., Path]  # the fixture save_model

Break = Callable[[Path], Path]  # spoils a good folder, gives the file the message must name


def header(path: Path) -> tuple[dict[str, Any], bytes]:
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def rewrite(path: Path, head: Any, data: bytes) -> Path:
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def spoil_header(change: Callable[[dict[str, Any]], None]) -> Break:
    def spoil(folder: Path) -> Path:
        head, data = header(folder / "model.safetensors")
        change(head)
        return rewrite(folder / "model.safetensors", head, data)

    return spoil


def spoil_bytes(change: Callable[[bytes], bytes]) -> Break:
    def spoil(folder: Path) -> Path:
        path = folder / "model.safetensors"
        path.write_bytes(change(path.read_bytes()))
        return path

    return spoil


def spoil_config(text: str | None) -> Break:
    def spoil(folder: Path) -> Path:
        path = folder / "config.json"
        path.unlink() if text is None else path.write_text(text)
        return path

    return spoil


def pickled(folder: Path) -> Path:
    (folder / "model.safetensors").unlink()
    path = folder / "pytorch_model.bin"
    path.write_bytes(pickle.dumps({"w": 1}))
    return path


def nothing(folder: Path) -> Path:
    (folder / "model.safetensors").unlink()
    return folder


def indexed(shard: Any, tensor: str = "norm.weight") -> Break:
    def spoil(folder: Path) -> Path:
        (folder / "model.safetensors").rename(folder / "a.safetensors")
        path = folder / "model.safetensors.index.json"
        path.write_text(json.dumps({"weight_map": {tensor: shard}}))
        return path

    return spoil


def overlap(head: dict[str, Any]) -> None:
    entries = [head[name] for name in head if name != "__metadata__"]
    entries[1]["data_offsets"] = entries[0]["data_offsets"]
    entries[1]["shape"], entries[1]["dtype"] = entries[0]["shape"], entries[0]["dtype"]


def past_end(head: dict[str, Any]) -> None:
    last = max(head.values(), key=lambda entry: entry.get("data_offsets", [0, 0])[1])
    last["data_offsets"][1] += 4000
    last["shape"] = [(last["data_offsets"][1] - last["data_offsets"][0]) // 4]


def first(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda head: head["model.norm.weight"].__setitem__(key, value)


OPENED: dict[str, tuple[Break, type[LasError]]] = {
    "truncated": (spoil_bytes(lambda raw: raw[:-100]), CheckpointError),
    "truncated_header": (spoil_bytes(lambda raw: raw[:100]), CheckpointError),
    "empty": (spoil_bytes(lambda raw: b""), CheckpointError),
    "wrong_magic": (spoil_bytes(lambda raw: b"\x7fELF\x01\x01\x01\x01" + raw), CheckpointError),
    "zip_pickle": (spoil_bytes(lambda raw: b"PK\x03\x04" + raw), CheckpointError),
    "lfs_pointer": (spoil_bytes(lambda raw: b"version https://git-lfs"), CheckpointError),
    "header_too_long": (
        spoil_bytes(lambda raw: struct.pack("<Q", 2**40) + raw[8:]),
        CheckpointError,
    ),
    "header_not_json": (spoil_bytes(lambda raw: raw[:8] + b"x" + raw[9:]), CheckpointError),
    "trailing_bytes": (spoil_bytes(lambda raw: raw + b"hidden"), CheckpointError),
    "overlap": (spoil_header(overlap), CheckpointError),
    "past_end": (spoil_header(past_end), CheckpointError),
    "negative_shape": (spoil_header(first("shape", [-24])), CheckpointError),
    "huge_shape": (spoil_header(first("shape", [2**62, 2**62])), CheckpointError),
    "bool_shape": (spoil_header(first("shape", [True])), CheckpointError),
    "short_data": (spoil_header(first("shape", [25])), CheckpointError),
    "no_offsets": (spoil_header(first("data_offsets", None)), CheckpointError),
    "entry_not_object": (
        spoil_header(lambda head: head.__setitem__("model.norm.weight", 3)),
        CheckpointError,
    ),
    "pickle": (pickled, CheckpointError),
    "no_weights": (nothing, CheckpointError),
    "no_config": (spoil_config(None), CheckpointError),
    "config_not_json": (spoil_config("{"), ConfigError),
    "config_not_object": (spoil_config("[]"), ConfigError),
    "config_nested": (spoil_config("[" * 100_000), ConfigError),
    "index_leaves": (indexed("../a.safetensors"), CheckpointError),
    "index_absolute": (indexed("/etc/passwd"), CheckpointError),
    "index_pickle": (indexed("a.bin"), CheckpointError),
    "index_no_shard": (indexed("b.safetensors"), CheckpointError),
    "index_no_tensor": (indexed("a.safetensors", "nowhere"), CheckpointError),
    "index_not_name": (indexed(3), CheckpointError),
}


@pytest.mark.parametrize("case", OPENED)
def test_broken_folder_is_refused_by_name(save_model: SaveModel, case: str) -> None:
    spoil, error = OPENED[case]
    folder = save_model("llama")
    named = spoil(folder)
    with pytest.raises(error) as caught:
        draw(Checkpoint.open(folder))
    message = str(caught.value)
    assert str(named) in message
    assert "\n" not in message
    assert caught.value.remedy


def write_weights(folder: Path, **tensors: Any) -> Checkpoint:
    (folder / "config.json").write_text("{}")
    save_file(tensors, folder / "model.safetensors")
    return Checkpoint.open(folder)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_values_are_found_when_loaded(tmp_path: Path, bad: float) -> None:
    checkpoint = write_weights(tmp_path, w=np.array([1, bad, bad], np.float32))
    tensor = checkpoint.tensor("w", (3,))
    with pytest.raises(CheckpointError, match=r"model.safetensors: tensor w holds 2 NaN"):
        tensor.load()


def test_integers_are_refused(tmp_path: Path) -> None:
    checkpoint = write_weights(tmp_path, w=np.arange(3, dtype=np.int8))
    with pytest.raises(CheckpointError, match=r"model.safetensors: tensor w is I8"):
        checkpoint.tensor("w", (3,)).load()


def test_missing_tensor_and_shape_are_named(save_model: SaveModel) -> None:
    checkpoint = Checkpoint.open(save_model("llama"))
    with pytest.raises(CheckpointError, match=r"llama: tensor w is in none .*model.safetensors"):
        checkpoint.tensor("w", (1,))
    with pytest.raises(CheckpointError, match=r"model.norm.weight is \[24\], .* \[25\]"):
        checkpoint.tensor("model.norm.weight", (25,))


def test_shrunk_after_opening(tmp_path: Path) -> None:
    checkpoint = write_weights(tmp_path, w=np.ones(5000, np.float32))
    (tmp_path / "model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(CheckpointError, match="changed while being read"):
        checkpoint.tensor("w", (5000,)).load()


@pytest.mark.parametrize("name", ["m.bin", "m.pt", "pytorch_model.bin.index.json"])
def test_pickle_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match=r"pickle.*safetensors"):
        Checkpoint.open(tmp_path / name)


def test_scalar_and_empty_tensors(tmp_path: Path) -> None:
    checkpoint = write_weights(tmp_path, s=np.array(1.5, np.float16), e=np.ones((0, 3), "f4"))
    assert checkpoint.tensor("s", ()).load() == 1.5
    assert checkpoint.tensor("e", (0, 3)).load().shape == (0, 3)


@pytest.mark.parametrize("length", [0x0A80, 0x4B50])
def test_a_header_whose_length_looks_like_a_pickle(tmp_path: Path, length: int) -> None:
    """0x80 begins a pickle and PK a zip: a header of 2,688 or 19,280 bytes does too."""
    checkpoint = write_weights(tmp_path, w=np.ones(3, np.float32))
    (path,) = checkpoint.files
    raw = path.read_bytes()
    (short,) = struct.unpack("<Q", raw[:8])
    header = raw[8 : 8 + short].ljust(length)
    path.write_bytes(struct.pack("<Q", length) + header + raw[8 + short :])
    assert Checkpoint.open(tmp_path).tensor("w", (3,)).load().tolist() == [1, 1, 1]


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="is not a file"):
        Checkpoint.open(tmp_path)


def test_config_path_means_its_folder(save_model: SaveModel) -> None:
    assert Checkpoint.open(save_model("bert") / "config.json").files


def test_bfloat16_is_exact(tmp_path: Path) -> None:
    from safetensors.torch import save_file as save_torch

    values = torch.randn(7, 5).to(torch.bfloat16)
    (tmp_path / "config.json").write_text("{}")
    save_torch({"w": values}, tmp_path / "model.safetensors")
    loaded = Checkpoint.open(tmp_path).tensor("w", (7, 5)).load()
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, values.float().numpy())


def test_sha256_and_files(save_model: SaveModel) -> None:
    import hashlib

    folder = save_model("opt")
    checkpoint = Checkpoint.open(folder / "model.safetensors")
    expected = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert checkpoint.sha256 == {"model.safetensors": expected}
    assert checkpoint.files == (folder / "model.safetensors",)


def test_plan_has_shapes_and_no_weights(plan: Callable[..., Path]) -> None:
    path = plan("llama")
    for place in (path, path.parent):
        checkpoint = Checkpoint.from_config(place)
        tensor = checkpoint.tensor("anything", (3, 4))
        assert isinstance(tensor, Tensor)
        assert tensor.shape == (3, 4)
        with pytest.raises(CheckpointError, match="a plan holds no weights"):
            tensor.load()

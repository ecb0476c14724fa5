"""The netlist file: round trip, the same bytes each time, written whole or not at all."""

from __future__ import annotations

import errno
import os
import resource
import weakref
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.convert import convert
from compiler.mapping.partition import partition
from compiler.netlist.hdf5 import HEADER_BYTES, load, save
from compiler.netlist.model import Dense, InMemory, Netlist, Synapses
from compiler.netlist.packed import pack, packed_shape, unpack
from compiler.pipeline import build
from compiler.targets import target as targets
from hwsim.backends.fast.engine import Engine
from las_neuro.errors import NetlistError, OutputError

SaveModel = Callable[..., Path]
BUILT: dict[str, Netlist] = {}


def compiled(family: str, save_model: SaveModel) -> Netlist:
    """A tiny model, compiled once and given to each test afresh."""
    if family not in BUILT:
        made = build(convert(save_model(family), context=16)[1])
        made = partition(made, targets.load("loihi2"))
        provenance = {"model": family, "options": {"steps": 16, "é": [1, 2.5, None, True]}}
        BUILT[family] = replace(made, provenance=provenance, tokenizer='{"model": "Ü \\u0000"}')
    made = BUILT[family]
    return replace(made, populations=dict(made.populations), synapses=list(made.synapses))


@pytest.fixture(params=["llama", "opt", "bert"])
def net(request: pytest.FixtureRequest, save_model: SaveModel) -> Netlist:
    return compiled(request.param, save_model)


@pytest.fixture
def one(save_model: SaveModel) -> Netlist:
    return compiled("llama", save_model)


def differences(a: Any, b: Any, at: str = "net") -> list[str]:
    """Where two parts of a netlist differ, types and orders included; matrices are loaded."""
    if hasattr(a, "load"):
        return differences(a.load(), b.load(), at) + differences(tuple(a.shape), b.shape, at)
    if isinstance(a, np.ndarray):
        same = isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
        return [] if same else [at]
    if type(a) is not type(b):
        return [f"{at}: {type(a).__name__} is now {type(b).__name__}"]
    if is_dataclass(a):
        parts = [(f.name, getattr(a, f.name), getattr(b, f.name)) for f in fields(a)]
    elif isinstance(a, dict):
        if list(a) != list(b):
            return [f"{at}: keys"]
        parts = [(key, a[key], b[key]) for key in a]
    elif isinstance(a, list | tuple):
        if len(a) != len(b):
            return [f"{at}: length"]
        parts = [(str(i), x, y) for i, (x, y) in enumerate(zip(a, b, strict=True))]
    else:
        return [] if a == b else [f"{at}: {a!r} is now {b!r}"]
    return [fault for name, x, y in parts for fault in differences(x, y, f"{at}.{name}")]


def test_everything_comes_back(net: Netlist, tmp_path: Path) -> None:
    save(net, tmp_path / "a.h5")
    again = load(tmp_path / "a.h5")
    assert differences(net, again) == []
    assert again.placement is not None
    save(again, str(tmp_path / "b.h5"))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert sorted(os.listdir(tmp_path)) == sorted(["a.h5", "b.h5", *models(tmp_path)])


def models(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if not name.endswith(".h5")]


def test_without_placement_or_tokenizer(net: Netlist, tmp_path: Path) -> None:
    bare = replace(net, placement=None, tokenizer=None, provenance={})
    save(bare, tmp_path / "a.h5")
    assert differences(bare, load(tmp_path / "a.h5")) == []


def test_a_loaded_netlist_runs_alike(net: Netlist, tmp_path: Path) -> None:
    save(net, tmp_path / "a.h5")
    tokens = np.array([[3, 60, 17]])
    outputs = [Engine(some).run(tokens).numpy() for some in (net, load(tmp_path / "a.h5"))]
    np.testing.assert_array_equal(*outputs)


def test_no_time_is_recorded(net: Netlist, tmp_path: Path) -> None:
    """Nothing but the netlist decides the bytes."""
    save(net, tmp_path / "a.h5")
    save(net, tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    times = []
    with h5py.File(tmp_path / "a.h5") as file:
        file.visit(lambda name: times.append(h5py.h5g.get_objinfo(file.id, name.encode()).mtime))
    assert len(times) > 50
    assert set(times) == {0}


def test_it_is_plain_hdf5_and_says_what_it_is(net: Netlist, tmp_path: Path) -> None:
    save(net, tmp_path / "a.h5")
    header = (tmp_path / "a.h5").read_bytes()[:HEADER_BYTES]
    assert header.startswith(b"las_neuro netlist 4 sha256 ")
    i, _, dense = first_dense(net)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["format"] == "las_neuro netlist"
        assert file.attrs["version"] == 4
        weights = file[f"synapses/{i}/form/weights"]
        assert weights.dtype == np.int8
        np.testing.assert_array_equal(weights[()], dense.weights.load())
        held: list[Any] = []
        file.visititems(lambda name, item: held.append((name, getattr(item, "dtype", None))))
    wide = [name for name, dtype in held if dtype == np.int64 and name.startswith("populations")]
    assert wide == []  # every parameter fits a narrower integer


def test_matrices_stay_in_the_file(net: Netlist, tmp_path: Path) -> None:
    save(net, tmp_path / "a.h5")
    again = load(tmp_path / "a.h5")
    for group in again.synapses:
        if isinstance(group.form, Dense):
            assert not isinstance(group.form.weights, InMemory | np.ndarray)
    assert all(not isinstance(table.rows, InMemory | np.ndarray) for table in again.tables)


class Counted:
    """A matrix that knows how many of its kind are in memory."""

    alive: ClassVar[list[weakref.ref[Any]]] = []
    most = 0

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape

    def load(self) -> np.ndarray:
        made = np.ones(self.shape, np.int8)
        Counted.alive = [ref for ref in Counted.alive if ref() is not None]
        Counted.alive.append(weakref.ref(made))
        Counted.most = max(Counted.most, len(Counted.alive))
        return made


def test_one_matrix_at_a_time(one: Netlist, tmp_path: Path) -> None:
    Counted.most = 0
    for i, group in enumerate(one.synapses):
        if isinstance(group.form, Dense):
            lazy = Dense(Counted(group.form.weights.shape))
            one.synapses[i] = replace(group, form=lazy)
    save(one, tmp_path / "a.h5")
    assert Counted.most == 1


def test_a_matrix_must_be_what_it_says(one: Netlist, tmp_path: Path) -> None:
    i, group, form = first_dense(one)
    wide = InMemory(form.weights.load().astype(np.int16))
    one.synapses[i] = replace(group, form=Dense(wide))
    with pytest.raises(NetlistError, match="int16"):
        save(one, tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()


def first_dense(net: Netlist) -> tuple[int, Synapses, Dense]:
    """The first dense group: its number, itself, its form."""
    i, group = next((i, g) for i, g in enumerate(net.synapses) if isinstance(g.form, Dense))
    assert isinstance(group.form, Dense)
    return i, group, group.form


@pytest.mark.parametrize("bits", range(1, 9))
def test_weights_of_few_bits_come_back(one: Netlist, tmp_path: Path, bits: int) -> None:
    """Every value that so many bits hold; 8 // bits of them a byte."""
    i, group, form = first_dense(one)
    n_post, n_pre = form.weights.shape
    ends = -(2 ** (bits - 1)), 2 ** (bits - 1)
    weights = np.random.default_rng(bits).integers(*ends, (n_post, n_pre)).astype(np.int8)
    weights.flat[: 2**bits] = np.arange(*ends)
    one.synapses[i] = replace(group, form=Dense(InMemory(weights), bits))
    save(one, tmp_path / "a.h5")
    again = load(tmp_path / "a.h5")
    assert differences(one, again) == []
    save(again, tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    with h5py.File(tmp_path / "a.h5") as file:
        held = file[f"synapses/{i}/form/weights"]
        assert held.shape == (n_post, -(-n_pre // (8 // bits)))
        assert held.dtype == np.int8


@given(rows=st.integers(1, 5), columns=st.integers(1, 20), bits=st.integers(1, 8), data=st.data())
def test_packing_is_exact(rows: int, columns: int, bits: int, data: st.DataObject) -> None:
    ends = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    drawn = data.draw(
        st.lists(st.integers(*ends), min_size=rows * columns, max_size=rows * columns)
    )
    weights = np.array(drawn, np.int8).reshape(rows, columns)
    held = pack(weights, bits)
    assert held.shape == packed_shape(weights.shape, bits)
    np.testing.assert_array_equal(unpack(held, weights.shape, bits), weights)


def test_two_weights_of_four_bits_a_byte() -> None:
    """The format, written out: the first in the low half, 0 for what a row lacks."""
    held = pack(np.array([[1, -1, 7], [-8, 0, -2]], np.int8), 4)
    np.testing.assert_array_equal(held.view(np.uint8), [[0xF1, 0x07], [0x08, 0x0E]])
    with pytest.raises(ValueError, match="no weights of 4 bits"):
        unpack(held | np.int8(16), (2, 3), 4)


def test_weights_beyond_their_bits_are_not_written(one: Netlist, tmp_path: Path) -> None:
    """Weights on disk, which `check` has not seen."""
    i, group, form = first_dense(one)
    one.synapses[i] = replace(group, form=Dense(form.weights, 4))
    with pytest.raises(NetlistError, match="weights beyond 4 bits"):
        save(one, tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()


def test_a_file_replaced_in_use_is_noticed(one: Netlist, tmp_path: Path) -> None:
    save(one, tmp_path / "a.h5")
    before = load(tmp_path / "a.h5")
    save(replace(one, provenance={"other": 1}), tmp_path / "a.h5")
    with pytest.raises(NetlistError, match="replaced while in use; help: load it again"):
        before.tables[0].rows.load()


def test_the_path_may_be_relative(
    net: Netlist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(net, "a.h5")
    again = load("a.h5")
    monkeypatch.chdir("/")
    assert again.tables[0].rows.load().dtype == np.int32


@pytest.mark.parametrize(
    ("place", "fact"),
    [
        ("missing/a.h5", "create the folder first"),
        ("file/a.h5", "Not a directory"),
        ("folder", "name a file, not a folder"),
    ],
)
def test_where_nothing_can_be_written(one: Netlist, tmp_path: Path, place: str, fact: str) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError, match=fact):
        save(one, tmp_path / place)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(one: Netlist, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="choose a folder you may write to"):
        save(one, tmp_path / "closed" / "a.h5")


@pytest.mark.parametrize("room", [0, 100, 511, 512, 3000, 60_000, 200_000])
def test_a_disk_that_fills_up(one: Netlist, tmp_path: Path, room: int) -> None:
    """The old file stays, nothing else does, and HDF5 does not crash (2.0.0 does, if told)."""
    (tmp_path / "a.h5").write_text("the old file")
    before = sorted(tmp_path.rglob("*"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(OutputError) as caught:
            save(one, tmp_path / "a.h5")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "a.h5").read_text() == "the old file"


@pytest.mark.parametrize("last", ["fsync", "replace"])
def test_the_last_moment_may_fail(
    one: Netlist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(os, last, full)
    with pytest.raises(OutputError, match=r"No space left on device.*; help: free some space"):
        save(one, tmp_path / "a.h5")
    assert sorted(tmp_path.rglob("*")) == before


def test_an_interrupted_save_leaves_nothing(one: Netlist, tmp_path: Path) -> None:
    class Interrupted:
        shape = one.tables[-1].rows.shape

        def load(self) -> np.ndarray:
            raise KeyboardInterrupt

    tables = [*one.tables[:-1], replace(one.tables[-1], rows=Interrupted())]
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(KeyboardInterrupt):
        save(replace(one, tables=tables), tmp_path / "a.h5")
    assert sorted(tmp_path.rglob("*")) == before

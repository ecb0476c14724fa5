"""Hostile and damaged netlist files: each is refused in one line that names it and the way out.

`sealed` writes the right digest over a forged content, so that what is behind it is tested.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from compiler.convert import convert
from compiler.mapping.partition import partition
from compiler.netlist.hdf5 import HEADER_BYTES, VERSION, load, save
from compiler.netlist.model import Dense, InMemory
from compiler.pipeline import build
from compiler.targets import target as targets
from las_neuro.errors import NetlistError

GOOD: dict[str, bytes] = {}


@pytest.fixture
def good(save_model: Callable[..., Path], tmp_path: Path) -> Path:
    """A right file of its own for each test."""
    if not GOOD:
        net = partition(build(convert(save_model("llama"), context=16)[1]), targets.load("loihi2"))
        save(replace(net, tokenizer="{}", provenance={"note": "x"}), tmp_path / "good.h5")
        GOOD["bytes"] = (tmp_path / "good.h5").read_bytes()
    (tmp_path / "net.h5").write_bytes(GOOD["bytes"])
    return tmp_path / "net.h5"


def refused(path: Path, fact: str = "") -> str:
    """The message `load` refuses the file with."""
    with pytest.raises(NetlistError) as caught:
        load(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert "; help: " in said
    assert "\n" not in said
    assert len(said) < 600
    assert fact in said
    return said


def sealed(path: Path) -> Path:
    body = path.read_bytes()[HEADER_BYTES:]
    line = f"las_neuro netlist 4 sha256 {hashlib.sha256(body).hexdigest()}\n".encode()
    path.write_bytes(line.ljust(HEADER_BYTES, b"\0") + body)
    return path


def rewritten(path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """The file with its text changed."""
    with h5py.File(path, "r+") as file:
        text = json.loads(file["structure"][()].tobytes())
        change(text)
        raw(file, json.dumps(text))
    return sealed(path)


def raw(file: h5py.File, text: str) -> None:
    del file["structure"]
    file["structure"] = np.frombuffer(text.encode(), np.uint8)


def test_the_good_file_is_good(good: Path) -> None:
    assert load(sealed(good)).tokenizer == "{}"
    assert load(rewritten(good, lambda text: None)).provenance == {"note": "x"}


def test_every_flipped_bit_is_noticed(good: Path) -> None:
    whole, chance = bytearray(GOOD["bytes"]), random.Random(1)
    places = [*range(0, 100, 3), 511, *(chance.randrange(len(whole)) for _ in range(100))]
    for at in places:
        bit = 1 << chance.randrange(8)
        whole[at] ^= bit
        good.write_bytes(whole)
        refused(good)
        whole[at] ^= bit


@pytest.mark.parametrize("size", [0, 1, 26, 90, 511, 512, 513, 2048, 100_000, -1])
def test_truncated(good: Path, size: int) -> None:
    good.write_bytes(GOOD["bytes"][:size])
    refused(good, "not a netlist" if 0 <= size < 91 else "truncated or damaged")


def test_longer_than_it_was(good: Path) -> None:
    good.write_bytes(GOOD["bytes"] + b"\0")
    refused(good, "truncated or damaged")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello\n" * 200,
        b"\x89HDF\r\n\x1a\n" + bytes(600),
        b"\x80\x04]\x94." * 200,
        b"PK\3\4" * 200,
    ],
    ids=["empty", "text", "hdf5", "pickle", "zip"],
)
def test_another_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.h5").write_bytes(content)
    refused(tmp_path / "net.h5", "not a netlist")


def test_hdf5_of_somebody_else(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "net.h5", "w") as file:
        file["keras"] = np.ones(9)
    refused(tmp_path / "net.h5", "not a netlist")


def test_no_file_a_folder_a_pipe(tmp_path: Path) -> None:
    refused(tmp_path / "net.h5", "no such file")
    refused(tmp_path, "no such file")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "no such file")


@pytest.mark.parametrize("version", [0, 1, 2, 3, 999_999_999])
def test_another_version(good: Path, version: int) -> None:
    content = GOOD["bytes"].replace(b"netlist %d " % VERSION, b"netlist %d " % version, 1)
    good.write_bytes(content[:512] if version < 9 else content[:512] + content[520:])
    said = refused(good, f"netlist of version {version}, this las_neuro reads {VERSION}")
    assert "upgrade las_neuro" in said


TYPES = {
    "form/weights": "<i1",
    "form/index": "<i4",
    "tables/0/rows": "<i4",
    "placement/tiles": "<i8",
}


def place(file: h5py.File, what: str) -> str:
    """Path of some array of a kind."""
    found: list[str] = []
    file.visit(lambda name: found.append(name) if name.endswith(what) else None)
    return found[0]


def external_link(file: h5py.File, at: str) -> None:
    file[at] = h5py.ExternalLink("/etc/passwd", "/x")


def link_to_itself(file: h5py.File, at: str) -> None:
    file[at] = h5py.ExternalLink(file.filename, "/tables/0/rows")


def soft_link(file: h5py.File, at: str) -> None:
    file[at] = h5py.SoftLink("/structure")


def dangling_link(file: h5py.File, at: str) -> None:
    file[at] = h5py.SoftLink("/nowhere")


def second_name(file: h5py.File, at: str) -> None:
    file[at] = file["structure"]


def circle(file: h5py.File, at: str) -> None:
    file[at] = file["/"]


def outside(file: h5py.File, at: str) -> None:
    file.create_dataset(at, (24, 24), np.int8, external=[("/etc/passwd", 0, 576)])


def virtual(file: h5py.File, at: str) -> None:
    layout = h5py.VirtualLayout((24, 24), np.int8)
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (24, 24))
    file.create_virtual_dataset(at, layout)


def zipped(file: h5py.File, at: str) -> None:
    file.create_dataset(at, (2**20, 2**20), np.int8, chunks=(1024, 1024), compression="gzip")


def boundless(file: h5py.File, at: str) -> None:
    dtype = next((dtype for what, dtype in TYPES.items() if at.endswith(what)), "u1")
    file.create_dataset(at, (2**40, 2**20), dtype)


def small(file: h5py.File, at: str) -> None:
    dtype = next(dtype for what, dtype in TYPES.items() if at.endswith(what))
    file[at] = np.ones((1, 2), dtype)


def missing(file: h5py.File, at: str) -> None:
    """Nothing in its place."""


def group(file: h5py.File, at: str) -> None:
    file.create_group(at)


def kind_of_number(dtype: Any) -> Callable[[h5py.File, str], None]:
    def forge(file: h5py.File, at: str) -> None:
        file.create_dataset(at, (24, 24), dtype)

    return forge


FORGED: dict[str, tuple[Callable[[h5py.File, str], None], str]] = {
    "external link": (external_link, "is a link"),
    "external link to itself": (link_to_itself, "is a link"),
    "soft link": (soft_link, "is a link"),
    "dangling link": (dangling_link, "is a link"),
    "hard link": (second_name, "is a second name"),
    "circle": (circle, "is a second name"),
    "external storage": (outside, "is compressed, virtual or stored elsewhere"),
    "virtual": (virtual, "is compressed, virtual or stored elsewhere"),
    "bomb": (zipped, "is compressed, virtual or stored elsewhere"),
    "boundless": (boundless, "is said to be (1099511627776, 1048576)"),
    "missing": (missing, "is missing"),
    "group": (group, "is missing"),
    "real": (kind_of_number(np.float32), "holds float32"),
    "unsigned": (kind_of_number(np.uint8), "holds uint8"),
    "other end first": (kind_of_number(">i8"), "holds >i8"),
    "text": (kind_of_number(h5py.string_dtype()), "holds object"),
    "pairs": (kind_of_number([("a", "i1"), ("b", "i1")]), "holds [("),
    "small": (small, "(1, 2)"),
}


@pytest.mark.parametrize("what", TYPES)
@pytest.mark.parametrize("forgery", FORGED)
def test_forged_arrays(good: Path, forgery: str, what: str) -> None:
    forge, fact = FORGED[forgery]
    with h5py.File(good, "r+") as file:
        at = place(file, what)
        del file[at]
        forge(file, at)
    unpacked = forgery == "small" and what == "placement/tiles"
    refused(sealed(good), "" if unpacked else fact)


@pytest.mark.parametrize(
    "forgery", ["external link", "soft link", "virtual", "real", "missing", "boundless"]
)
def test_forged_text(good: Path, forgery: str) -> None:
    with h5py.File(good, "r+") as file:
        del file["structure"]
        FORGED[forgery][0](file, "structure")
    refused(sealed(good))


def test_an_array_nobody_declared(good: Path) -> None:
    with h5py.File(good, "r+") as file:
        file["populations/more"] = np.ones(3, np.int8)
    refused(sealed(good), "unknown object populations/more")


@pytest.mark.parametrize("ends", [[-1], [61], ["2"], [True], 2, {"2": 3}])
def test_end_tokens_that_are_none(good: Path, ends: Any) -> None:
    refused(rewritten(good, lambda text: text["provenance"].update(end_tokens=ends)), "end tokens")


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("", "Expecting value"),
        ("[]", "structure is not a netlist"),
        ("null", "structure is not a netlist"),
        ("{}", "structure is not a netlist"),
        ('{"provenance": {}}', "has not the fields"),
        ('{"provenance": {}, "provenance": {}}', "a name is given twice"),
        ('{"provenance": {"x": NaN}}', "NaN is no number"),
        ('{"provenance": {"x": -Infinity}}', "-Infinity is no number"),
        ('{"context": ' + "9" * 5000 + "}", ""),
        (DEEP, ""),
    ],
    ids=range(10),
)
def test_text_that_is_no_netlist(good: Path, text: str, fact: str) -> None:
    with h5py.File(good, "r+") as file:
        raw(file, text)
    refused(sealed(good), fact)


def first(text: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(p for p in text["populations"].values() if p["kind"] == kind)
    return found


def dense(text: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(g for g in text["synapses"] if "weights" in g["form"])
    return found


TEXTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "real context": (lambda t: t.update(context=16.0), "context: 16.0 is no int"),
    "true context": (lambda t: t.update(context=True), "context: True is no int"),
    "text context": (lambda t: t.update(context="16"), "is no int"),
    "number for a name": (lambda t: t.update(output=7), "output: 7 is no str"),
    "causal 1": (lambda t: t.update(causal=1), "causal: 1 is no bool"),
    "no field": (lambda t: t.pop("phases"), "has not the fields"),
    "a field more": (lambda t: t.update(run="rm"), "has not the fields"),
    "short phase": (lambda t: t.update(phases=[[0]]), ""),
    "flat phase": (lambda t: t.update(phases=[0, 9]), ""),
    "tokenizer 5": (lambda t: t.update(tokenizer=5), "tokenizer: 5 is no str"),
    "list of populations": (lambda t: t.update(populations=[]), "populations: [] is no"),
    "no populations": (lambda t: t.update(populations={}), ""),
    "unit infinite": (lambda t: first(t, "input").update(unit=1e999), "is no number"),
    "unit huge": (lambda t: first(t, "input").update(unit=10**400), ""),
    "unit text": (lambda t: first(t, "input").update(unit="1"), "unit: '1' is no float"),
    "axis real": (lambda t: first(t, "input").update(axes={"c": 24.0}), "axes/c: 24.0 is no int"),
    "axes absurd": (lambda t: first(t, "integrate").update(axes={"c": 2**62}), "compartments"),
    "step real": (lambda t: first(t, "input").update(steps=[0.0]), "is no int"),
    "param real": (lambda t: first(t, "product")["params"].update(shift=0.5), "is no"),
    "param null": (lambda t: first(t, "product")["params"].update(shift=None), "is no"),
    "param huge": (lambda t: first(t, "product")["params"].update(shift=2**70), "is not in 0..63"),
    "array huge": (lambda t: first(t, "encode")["params"].update(shift={"values": [2**70]}), ""),
    "array real": (
        lambda t: first(t, "encode")["params"].update(shift={"values": [1.0]}),
        "1.0 is no int",
    ),
    "array nested": (lambda t: first(t, "encode")["params"].update(shift={"values": [[1]]}), ""),
    "array elsewhere": (lambda t: first(t, "encode")["params"].update(shift={"shape": [1]}), ""),
    "kind unknown": (lambda t: first(t, "product").update(kind="eval"), "'eval' is no kind"),
    "another name": (lambda t: first(t, "product").update(name="../../x"), "is called"),
    "form unknown": (lambda t: dense(t).update(form={"code": "x"}), ""),
    "form text": (lambda t: dense(t).update(form="weights"), ""),
    "no bits": (lambda t: dense(t)["form"].pop("bits"), "form/ has not the fields"),
    "bits 0": (lambda t: dense(t)["form"].update(bits=0), "declared"),
    "bits -4": (lambda t: dense(t)["form"].update(bits=-4), "declared"),
    "bits 9": (lambda t: dense(t)["form"].update(bits=9), "declared"),
    "bits huge": (lambda t: dense(t)["form"].update(bits=10**30), "declared"),
    "bits real": (lambda t: dense(t)["form"].update(bits=4.0), "bits: 4.0 is no int"),
    "bits true": (lambda t: dense(t)["form"].update(bits=True), "bits: True is no int"),
    "other bits": (lambda t: dense(t)["form"].update(bits=4), "declared"),
    "no shape": (lambda t: dense(t)["form"].update(weights={}), ""),
    "more than a shape": (lambda t: dense(t)["form"]["weights"].update(more=[1, 2]), "declared"),
    "shape of three": (lambda t: dense(t)["form"].update(weights={"shape": [1, 2, 3]}), ""),
    "wrong shape": (lambda t: dense(t)["form"].update(weights={"shape": [9, 9]}), "declared"),
    "table shape": (lambda t: t["tables"][0].update(rows={"shape": [61]}), "declared"),
    "placement empty": (lambda t: t.update(placement={}), "placement/ has not the fields"),
    "placement gone": (lambda t: t.pop("placement"), "unknown object placement/"),
    "cores": (lambda t: t["placement"].update(cores=0), "cores"),
    "surrogate": (lambda t: t.update(tokenizer="\ud800"), "surrogates not allowed"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_text_with_wrong_values(good: Path, case: str) -> None:
    change, fact = TEXTS[case]
    refused(rewritten(good, change), fact)


@pytest.fixture
def few(good: Path) -> Path:
    """A right file whose first dense group has 4-bit weights."""
    with_bits(good, 4)
    return good


def with_bits(path: Path, bits: int) -> int:
    """Give the first dense group so many bits, and say which it is."""
    net = load(path)
    i, form = next((i, g.form) for i, g in enumerate(net.synapses) if isinstance(g.form, Dense))
    weights = np.zeros(form.weights.shape, np.int8)
    net.synapses[i] = replace(net.synapses[i], form=Dense(InMemory(weights), bits))
    save(net, path)
    return i


def packed(file: h5py.File) -> h5py.Dataset:
    """The weights of 4 bits."""
    text = json.loads(file["structure"][()].tobytes())
    found = next(i for i, g in enumerate(text["synapses"]) if g["form"].get("bits") == 4)
    return file[f"synapses/{found}/form/weights"]


@pytest.mark.parametrize("columns", [0, 11, 13, 24])
def test_packed_weights_of_another_length(few: Path, columns: int) -> None:
    """24 columns of 4 bits are 12 bytes."""
    with h5py.File(few, "r+") as file:
        at, rows = packed(file).name, packed(file).shape[0]
        assert packed(file).shape == (24, 12)
        del file[at]
        file[at] = np.zeros((rows, columns), np.int8)
    refused(sealed(few), f"({rows}, {columns}), declared")


def test_packed_weights_said_to_be_wider(few: Path) -> None:
    """23 columns fill as many bytes as 24, but the populations say how many there are."""
    for columns, fact in ((25, "declared"), (23, "weights (24, 23), not (24, 24)")):
        shape = {"shape": [24, columns]}
        refused(rewritten(few, lambda t, s=shape: narrow(t)["form"].update(weights=s)), fact)


def narrow(text: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(g for g in text["synapses"] if g["form"].get("bits") == 4)
    return found


@pytest.mark.parametrize(
    ("bits", "byte"), [(3, 0b0100_0000), (3, -128), (5, 16), (5, -17), (7, 64), (7, 127)]
)
def test_bytes_beyond_their_bits(good: Path, bits: int, byte: int) -> None:
    """Bits to spare that are not 0; a byte of one weight that is too large."""
    i = with_bits(good, bits)
    with h5py.File(good, "r+") as file:
        file[f"synapses/{i}/form/weights"][3, 4] = byte
    again = load(sealed(good)).synapses[i].form
    assert isinstance(again, Dense)
    with pytest.raises(NetlistError, match=rf"bytes that hold no weights of {bits} bits.*; help: "):
        again.weights.load()


def test_tile_of_nobody(good: Path) -> None:
    with h5py.File(good, "r+") as file:
        file["placement/tiles"][0, 0] = -1
    refused(sealed(good))


FUZZ = """
import hashlib, random, sys
from pathlib import Path
from compiler.netlist.hdf5 import HEADER_BYTES, load
from las_neuro.errors import NetlistError
path, good = Path(sys.argv[1]), Path(sys.argv[1]).read_bytes()
refused = 0
for seed in range(120):
    chance, body = random.Random(seed), bytearray(good[HEADER_BYTES:])
    for _ in range(chance.choice([1, 2, 8])):
        body[chance.randrange(len(body))] = chance.choice([0, 255, chance.randrange(256)])
    digest = hashlib.sha256(body).hexdigest()
    header = f"las_neuro netlist 4 sha256 {digest}\\n".encode().ljust(HEADER_BYTES, b"\\0")
    path.write_bytes(header + body)
    try:
        load(path)
    except NetlistError:
        refused += 1
print(refused)
"""


def test_hdf5_damaged_behind_a_right_digest(good: Path) -> None:
    """In a process of its own: nothing but NetlistError, and no crash of the library."""
    done = subprocess.run(
        [sys.executable, "-c", FUZZ, str(good)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 20

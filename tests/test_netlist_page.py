"""The tables of docs/netlist.md say of every kind, field and form what the code declares."""

from __future__ import annotations

from dataclasses import fields

import pytest
from pages import ROOT, section, tables

from compiler.netlist.hdf5 import HEADER_BYTES, INLINE, VERSION
from compiler.netlist.kinds import KINDS, Kind
from compiler.netlist.model import (
    ROLES,
    Dense,
    Gather,
    HostTable,
    Netlist,
    Pattern,
    Placement,
    Population,
    Synapses,
    Written,
    slice_limit,
)

PAGE = (ROOT / "docs/netlist.md").read_text("utf-8")
SAID = {"yes": True, "no": False}


def under(heading: str) -> list[list[dict[str, str]]]:
    return tables(section(PAGE, heading))


def headed(kind: str, first: str) -> list[dict[str, str]]:
    """The table of a kind whose first column is called `first`; [] where it has none."""
    found = [table for table in under(f"### {kind}") if first in table[0]]
    assert len(found) <= 1
    return found[0] if found else []


def test_the_page_has_every_kind_and_no_other() -> None:
    kinds = section(PAGE, "## 7. Kinds").splitlines()
    heads = [line[4:] for line in kinds if line.startswith("### ")]
    assert len(heads) > 10
    assert sorted(heads) == sorted(KINDS)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_parameters(kind: Kind) -> None:
    said = {
        row["parameter"]: (int(row["bits"]), SAID[row["sign"]], row["per"])
        for row in headed(kind.name, "parameter")
    }
    assert said == {name: (p.bits, p.signed, p.per) for name, p in kind.params.items()}
    assert all(row["meaning"] for row in headed(kind.name, "parameter"))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_state_words(kind: Kind) -> None:
    said = {
        row["word"]: (int(row["bits"]), SAID[row["sign"]], SAID[row["kept"]], row["storage"])
        for row in headed(kind.name, "word")
    }
    declared = {}
    for name, word in kind.state.items():
        storage = f"that of {word.shares}" if word.shares else "its own"
        storage += f" if {word.only}" if word.only else ""
        declared[name] = (word.bits, word.signed, word.keeps, storage)
    assert said == declared


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_ports(kind: Kind) -> None:
    said = {row["port"]: row["form"] for row in headed(kind.name, "port")}
    assert said == {name: port.form for name, port in kind.ports.items()}
    assert said or "No ports" in section(PAGE, f"### {kind.name}")


def test_the_file() -> None:
    assert f"Format version: {VERSION}." in PAGE
    assert f"The first {HEADER_BYTES} bytes" in PAGE
    assert f"with more than {INLINE} values" in PAGE


def test_the_largest_numbers_of_one_to_four_slices() -> None:
    """And that the number of slices is the least that holds them."""
    assert [slice_limit(n) for n in (1, 2, 3, 4)] == [63, 8127, 1040319, 133160895]
    assert "63, 8127, 1040319, 133160895 for n = 1, 2, 3, 4" in PAGE
    limits = (1, 63, 64, 8127, 8128, 1040319, 1040320, 8388607)
    slices = [Written(("j",), "value", "pointer", limit).slices for limit in limits]
    assert slices == [1, 1, 2, 2, 3, 3, 4, 4]


def names(declared: type) -> list[str]:
    return [one.name for one in fields(declared)]  # type: ignore[arg-type]


def test_fields_and_roles() -> None:
    (net,) = under("## 2. The JSON text")
    assert sorted(row["field"] for row in net) == sorted(names(Netlist))
    population, per, roles = under("## 3. Populations")
    assert [row["field"] for row in population] == names(Population)
    assert {row["role"]: row["meaning"] for row in roles} == ROLES
    used = {param.per for kind in KINDS.values() for param in kind.params.values()}
    assert {row["per"] for row in per} == used
    synapses, forms, written = under("## 4. Synapses")
    assert [row["field"] for row in synapses] == names(Synapses)
    declared = {"dense": Dense, "pattern": Pattern, "gather": Gather, "written": Written}
    said = {row["form"]: row["fields"].split(", ") for row in forms}
    assert said == {form: names(one) for form, one in declared.items()}
    assert [row["field"] for row in written] == names(Written)
    table, _ = under("## 5. Host tables")
    assert [row["field"] for row in table] == names(HostTable)
    (placement,) = under("## 9. Placement")
    assert [*(row["field"] for row in placement), "tiles", "blocks"] == names(Placement)

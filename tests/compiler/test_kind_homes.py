"""A compartment kind is known by name in its own file, its lowering rule and its tests only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from compiler.netlist import kinds
from compiler.netlist.kinds import KINDS
from las_neuro.graph import OPS

ROOT = Path(__file__).parents[2]
HOME = ROOT / "compiler/netlist/kinds"
FILES = [
    path
    for folder in ("compiler/netlist", "compiler/passes", "compiler/mapping", "hwsim")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if HOME not in path.parents
]
OPERATORS = set(KINDS) & set(OPS)  # words that are also names of graph operators


def strings(node: ast.AST) -> list[str]:
    """String constants of an expression, or of the tuple, list or set that it is."""
    parts = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    return [p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)]


def named_in(node: ast.AST) -> list[str]:
    """Kinds by name in one node of a syntax tree.

    Words that graph operators share are let pass where they are compared with a node's `op`, where
    a constant lists operators alone, and as keys beside others, which reports have.
    """
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        operator = any(isinstance(side, ast.Attribute) and side.attr == "op" for side in sides)
        named = {word for side in sides for word in strings(side)} & set(KINDS)
        return sorted(named - OPERATORS if operator else named)
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        words = set(strings(node.value)) if not isinstance(node.value, ast.Constant) else set()
        return [] if words <= set(OPS) else sorted(words & set(KINDS))
    if isinstance(node, ast.Dict):
        keys = {word for key in node.keys if key is not None for word in strings(key)}
        return sorted(keys & set(KINDS) if keys <= set(KINDS) else keys & set(KINDS) - OPERATORS)
    if isinstance(node, ast.MatchValue):
        return [word for word in strings(node.value) if word in KINDS]
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        return [w for w in strings(node.slice) if w in KINDS and node.value.id == "KINDS"]
    if isinstance(node, ast.ImportFrom):
        module = (node.module or "").removeprefix("compiler.netlist.kinds")
        if module == (node.module or ""):
            return []
        names = [alias.name for alias in node.names] if not module else [module.lstrip(".")]
        return [name for name in names if name in KINDS]
    return []


def faults(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        yield from (f"{getattr(node, 'lineno', '?')}: {word}" for word in named_in(node))


def test_there_is_something_to_check() -> None:
    assert len(FILES) > 60
    assert len(KINDS) > 10
    assert {"encode", "product"} <= OPERATORS
    assert {"fire", "pointer"}.isdisjoint(OPERATORS)


@pytest.mark.parametrize(
    "source",
    [
        "p.kind == 'encode'",
        "p.kind != 'product'",
        "p.kind in ('encode', 'fire')",
        "node.op == 'fire'",
        "ONE_STEP = {'input', 'pointer'}",
        "RULES: dict = {'encode': 1, 'input': 2}",
        "{'fire': 1, 'other': 2}",
        "match p.kind:\n    case 'product':\n        pass",
        "KINDS['encode']",
        "from compiler.netlist.kinds.fire import step",
        "from compiler.netlist.kinds import fire",
    ],
)
def test_a_kind_s_name_is_noticed(source: str) -> None:
    assert list(faults(source))


@pytest.mark.parametrize(
    "source",
    [
        "node.op == 'encode'",
        "node.op in ('product', 'output')",
        "TERMS = ('sum', 'product')",
        "{'input': 1, 'schedule': 2}",
        "from compiler.netlist.kinds.params import Param",
        "operator = 'product'",
    ],
)
def test_a_graph_operator_is_no_kind(source: str) -> None:
    assert not list(faults(source))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_kind_is_known_by_name(path: Path) -> None:
    assert list(faults(path.read_text("utf-8"))) == []


def test_every_file_with_a_kind_is_one_of_its_name() -> None:
    declaring = {path.stem for path in HOME.glob("*.py") if "\nKIND = " in path.read_text("utf-8")}
    assert declaring == set(KINDS) == {kind.name for kind in KINDS.values()}
    assert list(KINDS) == sorted(KINDS)
    assert not any(name in (HOME / "__init__.py").read_text("utf-8").split() for name in KINDS)
    assert len(kinds.MODULES) > len(KINDS)  # what kinds share is no kind

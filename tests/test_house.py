"""House rules a machine can hold: sizes, names, and integers only where spikes are computed."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("las_neuro", "compiler", "hwsim")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
KINDS = sorted((ROOT / "compiler/netlist/kinds").glob("*.py"))

FILE_LINES = 400
FUNCTION_LINES = 60
FORBIDDEN = ("utils", "util", "helpers", "helper", "common", "misc", "base", "manager")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_there_is_something_to_check() -> None:
    assert len(FILES) > 40
    assert len(TESTS) > 5
    assert len(KINDS) > 10
    functions = [
        n for path in FILES for n in ast.walk(tree(path)) if isinstance(n, ast.FunctionDef)
    ]
    assert len(functions) > 200


def test_no_file_is_longer_than_a_reader_s_patience() -> None:
    lengths = {name(path): len(path.read_text("utf-8").splitlines()) for path in FILES}
    assert {file: lines for file, lines in lengths.items() if lines > FILE_LINES} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{name(path)}:{node.lineno} {node.name}: {node.end_lineno - node.lineno + 1} lines"
        for path in FILES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES
    ]
    assert long == []


def test_a_file_or_class_is_named_after_what_it_does() -> None:
    vague = [
        name(path)
        for path in FILES + TESTS
        if set(re.split(r"[_/]", path.relative_to(ROOT).with_suffix("").as_posix()))
        & set(FORBIDDEN)
    ]
    for path in FILES:
        classes = (node.name for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef))
        vague += [
            f"{name(path)}: class {said}"
            for said in classes
            if said.lower().endswith(("manager", "helper", "utils", "util", "base", "common"))
        ]
    assert vague == []


def test_every_file_says_what_it_is_for() -> None:
    silent = [
        name(path) for path in FILES if path.stat().st_size and not ast.get_docstring(tree(path))
    ]
    assert silent == []


@pytest.mark.parametrize("path", KINDS, ids=lambda path: path.stem)
def test_a_kind_is_integer_arithmetic(path: Path) -> None:
    """No float literal, true division or float type: from input to read-out all is integer."""
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            found.append(f"line {node.lineno}: literal {node.value}")
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            found.append(f"line {node.lineno}: division; use a shift or //")
        word = node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
        if word in {"float", "float16", "float32", "float64", "true_divide", "divide"}:
            found.append(f"line {getattr(node, 'lineno', 0)}: {word}")
    assert found == []

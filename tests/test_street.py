"""The one-way street: who may import whom.  hwsim -> compiler.netlist, compiler -> las_neuro.

Imports inside functions count too, so nothing is hidden from the rule; those under TYPE_CHECKING as
well, since a reader follows them all the same.
"""

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("las_neuro", "compiler", "hwsim")

# room -> modules of the other rooms it may import (and everything below them)
MAY_IMPORT = {
    "las_neuro": (),
    "compiler": ("las_neuro",),
    "hwsim": (
        "compiler.netlist",
        "compiler.targets",
        "las_neuro.errors",
        "las_neuro.files",
        "las_neuro.integers",
        "las_neuro.rows",
    ),
}
# commands and measurements also read models: they run a float model beside a netlist
BESIDE_A_MODEL = ("hwsim/commands/", "hwsim/measure/")

# package -> the only places that may import it
DOORS = {
    "lava": ("hwsim/backends/lava/",),
    "transformers": (
        "las_neuro/reference/",
        "las_neuro/training/",
    ),
    "torch": ("las_neuro/reference/", "las_neuro/training/", "hwsim/"),
    "plotly": ("hwsim/accounts/",),
    "jinja2": ("hwsim/accounts/",),
    "lm_eval": ("hwsim/measure/harness.py",),  # an optional extra
    "pickle": (),
}


def sources(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Dotted names of what a file imports; `from a import b` gives a.b."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, allowed: tuple[str, ...]) -> bool:
    return any(name == one or name.startswith(one + ".") for one in allowed)


def test_there_is_something_to_check() -> None:
    assert {room: len(sources(room)) > 5 for room in ROOMS} == dict.fromkeys(ROOMS, True)
    found = [name for room in ROOMS for path in sources(room) for name in imports(path)]
    for expected in ("compiler.netlist.model.Netlist", "las_neuro.errors.LasError", "plotly"):
        assert any(within(name, (expected,)) for name in found), f"no import of {expected} was seen"


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way(room: str) -> None:
    wrong = []
    for path in sources(room):
        place = path.relative_to(ROOT).as_posix()
        models = ("las_neuro",) if place.startswith(BESIDE_A_MODEL) else ()
        allowed = (room, *MAY_IMPORT[room], *models)
        wrong += [
            f"{place} imports {name}"
            for name in imports(path)
            if name.split(".")[0] in ROOMS and not within(name, allowed)
        ]
    assert wrong == []


@pytest.mark.parametrize("package", DOORS)
def test_a_package_has_one_door(package: str) -> None:
    wrong = []
    for room in ROOMS:
        for path in sources(room):
            place = path.relative_to(ROOT).as_posix()
            if place.startswith(DOORS[package]):
                continue
            wrong += [f"{place} imports {n}" for n in imports(path) if within(n, (package,))]
    assert wrong == []


def test_kinds_know_no_engine_and_nothing_outside() -> None:
    """A kind is pure integer arithmetic: it reads no files, draws no numbers, keeps no clock."""
    kinds = sorted((ROOT / "compiler/netlist/kinds").glob("*.py"))
    assert len(kinds) > 5
    allowed = (
        "compiler.netlist",
        "las_neuro.integers",
        "las_neuro.rows",
        "las_neuro.neurons",
        "__future__",
        "collections",
        "dataclasses",
        "typing",
        "numpy",
    )
    allowed += ("math", "functools", "itertools")
    wrong = [
        f"{path.name} imports {name}"
        for path in kinds
        for name in imports(path)
        if not within(name, allowed) or name.startswith("numpy.random")
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "module", ["compiler.netlist.model", "las_neuro.graph", "hwsim.backends.counters"]
)
def test_the_formats_import_without_the_heavy_packages(module: str) -> None:
    heavy = sorted(name for name in DOORS if name != "pickle")
    heavy = [name for name in heavy if importlib.util.find_spec(name) is not None]
    assert "torch" in heavy
    code = f"import sys, {module}; print([n for n in {heavy!r} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"

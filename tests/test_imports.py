"""Which folder may import what: of our own packages, and of large packages of others.

Imports inside functions count too, so nothing is hidden from the rules; those under TYPE_CHECKING
as well, since a reader follows them all the same.
"""

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("las_neuro", "compiler", "hwsim")

# What reads netlists needs the format, the targets and what a placement costs, but no compiler.
NETLISTS = (
    "compiler.mapping",
    "compiler.netlist",
    "compiler.targets",
    "las_neuro.errors",
    "las_neuro.files",
    "las_neuro.integers",
    "las_neuro.progress",
    "las_neuro.rows",
)
# What neurons compute, in real numbers as in the chip's integers.
ARITHMETIC = ("las_neuro.integers", "las_neuro.neurons")
# folder -> modules of ours that it may import, and all below them; the longest folder that fits
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "las_neuro": ("las_neuro",),
    "compiler": ("compiler", "las_neuro"),
    "compiler/netlist": (
        "compiler.netlist",
        "las_neuro.errors",
        "las_neuro.files",
        "las_neuro.graph",
        *ARITHMETIC,
    ),
    "compiler/netlist/kinds": ("compiler.netlist", *ARITHMETIC),
    "hwsim": ("hwsim", *NETLISTS),
    "hwsim/backends": ("hwsim.backends", *NETLISTS),
    "hwsim/energy": ("hwsim.energy", *NETLISTS),
    "hwsim/accounts": ("hwsim.accounts", "hwsim.backends", "hwsim.energy", *NETLISTS),
    # These run a float model beside a netlist.
    "hwsim/measure": ("hwsim", *NETLISTS, "las_neuro"),
    "hwsim/commands": ("hwsim", *NETLISTS, "las_neuro"),
}
# package of others -> the only folders that may import it
ONLY_IN: dict[str, tuple[str, ...]] = {
    "jinja2": ("hwsim/accounts",),
    "lava": ("hwsim/backends/lava",),
    "lm_eval": ("hwsim/measure",),
    "pickle": (),
    "plotly": ("hwsim/accounts",),
    "torch": ("las_neuro/reference", "las_neuro/training", "hwsim/backends/fast", "hwsim/measure"),
    "transformers": ("las_neuro/reference", "las_neuro/training"),
}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def folder(path: Path) -> str:
    return path.parent.relative_to(ROOT).as_posix()


def inside(folder: str, other: str) -> bool:
    return folder == other or folder.startswith(other + "/")


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Dotted names of what a file imports; `from a import b` gives a.b."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, allowed: tuple[str, ...]) -> bool:
    return any(name == one or name.startswith(one + ".") for one in allowed)


def test_there_is_something_to_check() -> None:
    assert all(len(sources(package)) > 5 for package in PACKAGES)
    names = [name for package in PACKAGES for path in sources(package) for name in imports(path)]
    for expected in ("compiler.netlist.model.Netlist", "las_neuro.errors.LasError", "plotly"):
        assert any(within(name, (expected,)) for name in names), f"no import of {expected}"
    for rule in (*MAY_IMPORT, *(place for places in ONLY_IN.values() for place in places)):
        assert (ROOT / rule).is_dir(), f"{rule} is no folder"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_folder_imports_what_its_rule_allows(package: str) -> None:
    wrong = []
    for path in sources(package):
        rule = max((rule for rule in MAY_IMPORT if inside(folder(path), rule)), key=len)
        wrong += [
            f"{path.relative_to(ROOT)} imports {name}"
            for name in imports(path)
            if name.split(".")[0] in PACKAGES and not within(name, MAY_IMPORT[rule])
        ]
    assert wrong == []


@pytest.mark.parametrize("package", ONLY_IN)
def test_a_large_package_is_imported_in_few_folders(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for ours in PACKAGES
        for path in sources(ours)
        if not any(inside(folder(path), place) for place in ONLY_IN[package])
        for name in imports(path)
        if within(name, (package,))
    ]
    assert wrong == []


def test_kinds_know_no_engine_and_nothing_outside() -> None:
    """A kind is pure integer arithmetic: it reads no files, draws no numbers, keeps no clock."""
    kinds = sorted((ROOT / "compiler/netlist/kinds").glob("*.py"))
    kinds = [path for path in kinds if path.name != "__init__.py"]  # which looks for the others
    assert len(kinds) > 5
    standard = ("__future__", "collections", "dataclasses", "functools", "itertools", "math")
    allowed = ("compiler.netlist", *ARITHMETIC, "numpy", "typing", *standard)
    wrong = [
        f"{path.name} imports {name}"
        for path in kinds
        for name in imports(path)
        if not within(name, allowed) or name.startswith("numpy.random")
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "module",
    [
        "compiler.netlist.model",
        "hwsim.accounts.audit",
        "hwsim.backends",
        "hwsim.backends.lava",
        "hwsim.backends.step",
        "hwsim.commands.las_run",
        "las_neuro.graph",
    ],
)
def test_large_packages_are_imported_late(module: str) -> None:
    heavy = [name for name in ONLY_IN if name not in ("jinja2", "pickle", "plotly")]
    heavy = [name for name in heavy if importlib.util.find_spec(name) is not None]
    assert "torch" in heavy
    code = f"import sys, {module}; print([n for n in {heavy!r} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"

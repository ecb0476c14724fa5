"""The recipes of CONTRIBUTING.md apply to the tree as it is, touch few files, and work there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, tables

RECIPES = ROOT / "docs/recipes"
TREE = ("las_neuro", "compiler", "hwsim", "tests", "docs", "pyproject.toml", "README.md")
ROWS = {
    re.sub(r".*/|\.diff.*", "", row["recipe"]): row
    for row in tables((ROOT / "CONTRIBUTING.md").read_text("utf-8"))[0]
}
MOST = {"family": 2, "system": 2, "kind": 3, "target": 1, "profile": 1, "backend": 1}
SMALL = """
import sys
from pathlib import Path
sys.path.insert(0, "tests")
import numpy as np
from random_models import random_model
from compiler import compile
random_model("llama", num_hidden_layers=1).save_pretrained("model", safe_serialization=True)
np.save("tokens.npy", np.random.default_rng(3).integers(2, 61, (2, 20)))
net = compile("model", calibrate=Path("tokens.npy"), target={target!r})
"""
CHECKS = {
    "target": SMALL.format(target="kapoho-point-stack")
    + """
from compiler.targets import load
assert net.placement.target == "kapoho-point-stack"
assert load(net.placement.target).cores == 64 * 120
""",
    "profile": SMALL.format(target="auto")
    + """
from hwsim.accounts import audit
from hwsim.backends.step.stepper import Stepper
stepper = Stepper(net)
stepper.run(np.array([3, 5, 8]))
account = audit(net, stepper.counters)
(bill,) = [bill for bill in account.energy if bill.profile == "horowitz_45nm_fp16"]
assert bill.joules > 0
assert {line.what for line in bill.lines} == {"event_add", "event_multiply"}
""",
    "backend": SMALL.format(target="auto")
    + """
from hwsim import backends
from las_neuro.errors import BackendError
assert "checked" in backends.names()
tokens = np.array([[3, 5, 8]])
session = backends.find("checked").open(net, count=True)
ours = session.feed(tokens)
np.testing.assert_array_equal(ours, backends.find("step").open(net).feed(tokens))
assert ours.any()
session.reset()
session.second.feed = lambda rows: ours + 1
try:
    session.feed(tokens)
except BackendError as error:
    assert "token 0" in str(error)
else:
    raise AssertionError("a difference went unseen")
""",
}
TESTS = {
    "family": ["tests/las_neuro/test_stablelm.py"],
    "system": ["tests/las_neuro/test_ternary.py"],
    "kind": ["tests/kinds/test_rectify.py", "tests/test_netlist_page.py"],
    "target": ["tests/compiler/test_targets.py"],
    "profile": ["tests/hwsim/test_energy.py"],
}


def touched(name: str) -> list[str]:
    text = (RECIPES / f"{name}.diff").read_text("utf-8")
    return re.findall(r"^diff --git a/(\S+)", text, re.MULTILINE)


def test_every_recipe_is_in_the_table_and_the_other_way_round() -> None:
    assert set(ROWS) == set(MOST) == {path.stem for path in RECIPES.glob("*.diff")}


@pytest.mark.parametrize("name", MOST)
def test_a_recipe_touches_as_few_files_as_it_says(name: str) -> None:
    """The page of the format is not counted: a new kind is a new sentence of the format."""
    files = [path for path in touched(name) if path != "docs/netlist.md"]
    if name == "backend":
        files = sorted({str(Path(path).parent) for path in files})
    assert len(files) == int(ROWS[name]["files"])
    assert len(files) <= MOST[name]
    assert (ROOT / ROWS[name]["modelled on"]).is_file()


@pytest.fixture
def tree(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of the tree with a recipe applied."""
    if shutil.which("git") is None:
        pytest.skip("recipes are applied with git")
    ignored = shutil.ignore_patterns("__pycache__", ".*_cache")
    for part in TREE:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, tmp_path / part, ignore=ignored)
        else:
            shutil.copy(ROOT / part, tmp_path / part)
    diff = RECIPES / f"{request.param}.diff"
    done = subprocess.run(
        ["git", "apply", str(diff)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all((tmp_path / path).is_file() for path in touched(request.param))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(("tree", "name"), [(name, name) for name in MOST], indirect=["tree"])
def test_a_recipe_works(tree: Path, name: str) -> None:
    tests = ["-q", "-p", "no:cacheprovider", *TESTS.get(name, [])]
    ending = f"import pytest\nraise SystemExit(pytest.main({tests}))" if name in TESTS else ""
    run(tree, "-W", "ignore", "-c", CHECKS.get(name, "") + ending)


def run(tree: Path, *words: str) -> None:
    """Python in the copy, importing the copy."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

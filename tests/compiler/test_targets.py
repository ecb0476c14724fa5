"""Targets: every figure has a source, unknown keys are refused, meshes are as stated."""

from __future__ import annotations

import copy
import sys
from typing import Any

import numpy as np
import pytest

from compiler.mapping.mesh import Mesh
from compiler.targets import load, names
from compiler.targets.target import FOLDER, automatic, parse
from las_neuro.errors import ConfigError, TargetError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LOIHI2: dict[str, Any] = tomllib.loads((FOLDER / "loihi2.toml").read_text())


@pytest.mark.parametrize("name", names())
def test_every_target_loads_under_its_own_name(name: str) -> None:
    assert load(name).name == name


def test_cores() -> None:
    cores = {name: load(name).cores for name in names()}
    known = {"loihi1": 128, "loihi2": 120, "kapoho-point": 960, "hala-point": 140_544}
    assert cores.items() >= known.items()


def test_auto_tries_the_smallest_loihi_2_first() -> None:
    assert automatic() == ("loihi2", "kapoho-point", "hala-point")


def test_only_loihi_1_lacks_graded_spikes() -> None:
    assert [name for name in names() if not load(name).graded] == ["loihi1"]


def test_all_loihi_2_systems_have_the_same_core() -> None:
    assert load("loihi2").core == load("kapoho-point").core == load("hala-point").core


def test_an_unsourced_figure_is_refused() -> None:
    table = copy.deepcopy(LOIHI2)
    del table["core"]["compartments"]["source"]
    with pytest.raises(ConfigError, match=r"x\.toml: core\.compartments\.source"):
        parse(table, "x.toml")


def test_an_unknown_key_is_refused() -> None:
    table = copy.deepcopy(LOIHI2)
    table["core"]["dendrites"] = {"value": 1, "source": "nobody knows"}
    with pytest.raises(ConfigError, match=r"core\.dendrites"):
        parse(table, "x.toml")


def test_an_unknown_target_is_refused_with_the_known_ones() -> None:
    with pytest.raises(TargetError, match=r"loihi9.*hala-point, kapoho-point.*loihi1, loihi2"):
        load("loihi9")


@pytest.mark.parametrize("cores", [1, 7, 120, 121, 500])
def test_curves_visit_every_core_once(cores: int) -> None:
    mesh = Mesh(cores, 120, 15)
    for walk in (mesh.snake(), mesh.hilbert()):
        assert sorted(walk.tolist()) == list(range(cores))


def test_the_hilbert_curve_walks_between_neighbours() -> None:
    walk = Mesh(64, 64, 8).hilbert()
    way = Mesh(64, 64, 8).distance(walk[:-1], walk[1:])
    assert (way.east_west + way.north_south == 1).all()


def test_ways_across_chips() -> None:
    mesh = Mesh(480, 120, 15)  # 2 x 2 chips
    way = mesh.distance(np.array([0, 0, 0]), np.array([119, 120, 479]))
    assert way.east_west.tolist() == [14, 15, 29]
    assert way.north_south.tolist() == [7, 0, 15]
    assert way.crossings.tolist() == [0, 1, 2]

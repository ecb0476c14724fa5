"""Options prove themselves: the command line, a settings file and Python get one ConfigError."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compiler import compile
from compiler.options import Options
from compiler.settings import from_file
from las_neuro.errors import ConfigError

WRONG: dict[str, Any] = {
    "error_budget": [float("inf"), float("nan"), -1.0, 0.0, "small"],
    "weight_planes": [0, 3, 1.5, True, "two"],
    "ranges": [0, 3],
    "steps": [0, -4, 2.5, True],
    "context": [0, -1],
    "channel_steps": ["perhaps", 1],
    "calibrate": [3, True],
    "tables": [0.5],
    "code": [3],
    "target": [None],
    "system_options": [3, "k=4"],
}
CASES = [(name, value) for name, values in WRONG.items() for value in values]


@pytest.mark.parametrize(("name", "value"), CASES)
def test_a_wrong_value_is_named(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{name} = ") as caught:
        Options(**{name: value})
    assert caught.value.remedy
    with pytest.raises(ConfigError, match=f"^{name} = "):
        compile("no such model", **{name: value})  # before the model is looked for


@pytest.mark.parametrize(
    ("name", "near"), [("planes", "weight_planes"), ("step", "steps"), ("weight_plane", "weight_p")]
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(ConfigError, match=f"no option '{name}'; help: did you mean {near}"):
        compile("no such model", **{name: 1})


def test_a_path_may_be_text() -> None:
    assert Options(calibrate="f.txt", tables="t.json") == Options(  # type: ignore[arg-type]
        calibrate=Path("f.txt"), tables=Path("t.json")
    )


def test_calibrate_as_text(save_model: Callable[..., Path], tmp_path: Path) -> None:
    folder, text = save_model("llama"), tmp_path / "ids.json"
    text.write_text(str(list(range(2, 61)) * 5))
    net = compile(folder, calibrate=str(text))
    assert net.provenance["calibration"].startswith("sha256 ")


@pytest.mark.parametrize("word", ["weight_planes", "weight-planes"])
def test_a_file_has_the_words_of_the_command_line(tmp_path: Path, word: str) -> None:
    path = tmp_path / "las.toml"
    path.write_text(f'{word} = 2\ncalibrate = "a.txt"\ntables = "t.json"\n')
    beside = {"calibrate": tmp_path / "a.txt", "tables": tmp_path / "t.json"}
    assert from_file(path, {}) == Options(weight_planes=2, **beside)
    assert from_file(path, {"weight_planes": 1}) == Options(**beside)


@pytest.mark.parametrize(
    "line", ["error_budget = inf", "error_budget = -1", "weight_planes = 3", "planes = 2"]
)
def test_a_file_is_named_beside_its_fault(tmp_path: Path, line: str) -> None:
    path = tmp_path / "las.toml"
    path.write_text(line)
    with pytest.raises(ConfigError, match=rf"^{path}: .*{line.split()[0]}"):
        from_file(path, {})


def test_an_error_budget_is_las_s() -> None:
    with pytest.raises(ConfigError, match="not those of sdllm"):
        _ = Options(system="sdllm", error_budget=1e-3).method

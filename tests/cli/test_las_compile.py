from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import compiler
from compiler.netlist.hdf5 import load
from compiler.pipeline import NAMES


def test_it_prints_what_it_made(las, decoder: Path, text: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.h5"
    done = las("las-compile", decoder, "-o", path, "--calibrate", text, "--json")
    assert (done.code, done.err) == (0, "")
    made = json.loads(done.out)
    net = load(path)
    assert made["netlist"] == str(path)
    assert made["bytes"] == path.stat().st_size
    assert (made["target"], made["chips"]) == ("loihi2", 1)
    assert made["compartments"] == sum(p.n for p in net.populations.values())
    assert made["steps_per_token"] == net.period
    assert {"cores", "synapses", "seconds"} <= set(made)


def test_equal_inputs_give_equal_bytes(
    las_process, decoder: Path, netlist: Path, text: Path, tmp_path: Path
) -> None:
    elsewhere = shutil.copytree(decoder, tmp_path / "elsewhere")
    path = tmp_path / "other.h5"
    file = elsewhere / "model.safetensors"
    done = las_process("las-compile", file, "-o", path, "--calibrate", text)
    assert done.code == 0
    for fact in ("target", "loihi2", "compartments", "synapses", "steps", "MB", " s\n"):
        assert fact in done.out
    assert path.read_bytes() == netlist.read_bytes()


def test_the_netlist_says_where_it_comes_from(netlist: Path, decoder: Path) -> None:
    net = load(netlist)
    made = net.provenance
    assert set(made["inputs"]) == {"model.safetensors", "config.json", "tokenizer.json"}
    assert made["tool"].startswith("las-neuro ")
    assert made["calibration"].startswith("sha256 ")
    assert made["options"] == {
        **{
            "system": "las",
            "steps": 16,
            "code": "graded",
            "published": False,
            "ranges": 2,
            "channel_steps": False,
        },
        **{"weight_planes": 1, "error_budget": None, "system_options": {}, "subtract_first": False},
        **{"context": 24, "target": "auto"},
    }
    assert made["end_tokens"] == []
    assert str(decoder.parent) not in json.dumps(made)
    assert net.tokenizer is not None


def test_the_python_interface_gives_the_same_netlist(decoder: Path, text: Path) -> None:
    seen: list[str] = []
    net = compiler.compile(decoder, calibrate=text, watch=lambda one, *_: seen.append(one.name))
    assert net.placement is not None
    assert tuple(seen) == NAMES


@pytest.mark.parametrize("name", ["choose_codes", "schedule", "place"])
def test_a_pass_is_dumped(las, decoder: Path, text: Path, name: str, tmp_path: Path) -> None:
    done = las("las-compile", decoder, "--dump-after", name, "--calibrate", text, cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    word = {"choose_codes": "layers.0", "schedule": "population  ", "place": "tile  "}[name]
    assert word in done.out
    assert list(tmp_path.iterdir()) == []


def test_builtin_only_names_the_first_population(las, decoder: Path, tmp_path: Path) -> None:
    done = las("las-compile", decoder, "-o", tmp_path / "net.h5", "--builtin-only")
    assert done.code == 2
    assert done.err.startswith("error: population ")
    assert done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


OPT_66B = {
    "model_type": "opt",
    "architectures": ["OPTForCausalLM"],
    "activation_function": "relu",
    "do_layer_norm_before": True,
    "ffn_dim": 36864,
    "hidden_size": 9216,
    "word_embed_proj_dim": 9216,
    "max_position_embeddings": 2048,
    "num_attention_heads": 72,
    "num_hidden_layers": 64,
    "vocab_size": 50272,
}


def test_a_plan_needs_the_config_alone(las, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(OPT_66B))
    done = las("las-compile", path, "--plan", "--json")
    assert (done.code, done.err) == (0, "")
    plan = json.loads(done.out)
    assert plan["weights"] > 6e10
    assert plan["target"] == "hala-point"
    assert not plan["fits"]
    assert plan["advice"]


def test_a_plan_says_how_much_more_calibration_may_add(
    las, decoder: Path, text: Path, tmp_path: Path
) -> None:
    plan = json.loads(las("las-compile", decoder, "--plan", "--json").out)
    words = ("-o", tmp_path / "net.h5", "--calibrate", text, "--json")
    compiled = json.loads(las("las-compile", decoder, *words).out)
    more = plan["after_calibration"]
    assert 0 <= compiled["compartments"] - plan["compartments"] <= more["compartments"]
    assert compiled["steps_per_token"] <= plan["latency"]["steps"] + more["steps"]
    said = las("las-compile", decoder, "--plan").out
    assert f"at most {more['populations']} populations" in " ".join(said.split())


def test_a_plan_imports_no_torch(tmp_path: Path, decoder: Path) -> None:
    code = (
        "import sys; from compiler.commands.las_compile import main\n"
        f"sys.argv = ['las-compile', {str(decoder)!r}, '--plan']\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert not {'torch', 'transformers', 'h5py'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "cores" in done.stdout


def test_a_plan_refuses_a_named_target_that_is_too_small(las, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(OPT_66B))
    done = las("las-compile", tmp_path, "--plan", "--target", "loihi2")
    assert done.code == 2
    assert "cores" in done.out
    assert done.err.startswith("error: ")
    assert "loihi2 has" in done.err
    assert done.err.count("\n") == 1


def test_times_are_printed_and_given_as_json(las, save_model) -> None:
    folder = save_model("llama")
    done = las("las-compile", folder, "-o", folder / "a.h5", "--time-passes", "--json")
    assert done.code == 0
    rows = json.loads(done.out)["passes"]
    assert [row["pass"] for row in rows] == list(NAMES)
    assert all(row["seconds"] >= 0 for row in rows if "seconds" in row)
    done = las("las-compile", folder, "-o", folder / "b.h5", "--time-passes")
    assert all(name in done.out for name in NAMES)
    assert "not needed" in done.out

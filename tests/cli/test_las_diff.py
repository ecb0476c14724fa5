from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compiler.netlist.hdf5 import load, save
from compiler.netlist.model import Dense, InMemory
from hwsim.backends.lava.runtime import installed
from hwsim.measure.diff import diff

Change = Callable[[np.ndarray], None]


def spoiled(netlist: Path, path: Path, name: str, change: Change) -> Path:
    """The netlist with other int8 weights into one population."""
    net = load(netlist)
    for i, group in enumerate(net.synapses):
        if group.target == name and isinstance(group.form, Dense):
            weights = group.form.weights.load().copy()
            change(weights)
            net.synapses[i] = replace(group, form=Dense(InMemory(weights)))
    save(net, path)
    return path


def linear(netlist: Path) -> str:
    """A population in the middle of the block."""
    names = [p.name for p in load(netlist).populations.values()]
    return next(name for name in names if name.endswith(("up_proj", "intermediate.dense")))


def halve(weights: np.ndarray) -> None:
    weights[::2] //= 8


def flip(weights: np.ndarray) -> None:
    weights[5] ^= 1


def test_a_netlist_beside_its_model(
    las, las_process, netlist: Path, decoder: Path, text: Path, tmp_path: Path
) -> None:
    words = ("--text", text, "--max-tokens", "100", "--budget", "0.1")
    for run, page in ((las_process, tmp_path / "diff.html"), (las, tmp_path / "diff.json")):
        done = run("las-diff", decoder, netlist, *words, "-o", page)
        assert (done.code, done.err) == (0, "")
        assert page.is_file()
    for said in ("operator", "carried", "added", "clamps", "exponential", "largest carried"):
        assert said in done.out
    assert "first over budget  none; budget 0.1" in done.out
    made = json.loads((tmp_path / "diff.json").read_text())
    assert (made["tokens"], made["first_over_budget"], made["spikes"]) == (100, None, None)
    nodes = {row["node"]: row for row in made["nodes"]}
    assert 0 < nodes[linear(netlist)]["added"] < 0.02
    assert set(nodes[linear(netlist)]) == {
        "node", "layer", "operator", "carried", "added", "largest_absolute", "values", "clamps",
        "wraps",
    }  # fmt: skip
    backwards = las("las-diff", netlist, decoder, *words, "-o", tmp_path / "other.json")
    assert backwards.code == 0
    assert json.loads((tmp_path / "other.json").read_text()) == made


def test_damage_is_named_and_exits_1(
    las, netlist: Path, decoder: Path, text: Path, tmp_path: Path
) -> None:
    name = linear(netlist)
    bad = spoiled(netlist, tmp_path / "bad.h5", name, halve)
    words = (decoder, bad, "--text", text, "--max-tokens", "60", "-o", tmp_path / "diff.json")
    done = las("las-diff", *words, "--budget", "0.1")
    assert (done.code, done.err) == (1, "")
    assert f"first over budget  {name} (linear) carries " in done.out
    assert f" by {name} (linear)" in done.out
    assert json.loads((tmp_path / "diff.json").read_text())["first_over_budget"] == name
    assert las("las-diff", *words, "-q").code == 0  # no budget was given


def test_an_encoder_s_damage_is_named(
    las, encoder_netlist: Path, encoder: Path, lines: Path, tmp_path: Path
) -> None:
    name = linear(encoder_netlist)
    bad = spoiled(encoder_netlist, tmp_path / "bad.h5", name, halve)
    words = ("--text", lines, "--budget", "0.1")
    assert las("las-diff", encoder, encoder_netlist, *words, "-q").code == 0
    done = las("las-diff", encoder, bad, *words)
    assert (done.code, done.err) == (1, "")
    assert f"first over budget  {name} (linear) carries " in done.out


def test_one_netlist_differs_nowhere_on_any_backend(las, netlist: Path, text: Path) -> None:
    for backend, tokens in [("step", "30"), *([("lava", "3")] if installed() else [])]:
        words = ("--text", text, "--max-tokens", tokens, "--backend-b", backend)
        done = las("las-diff", netlist, netlist, *words)
        assert (done.code, done.err) == (0, "")
        assert "largest carried    0 at " in done.out
        assert " tokens are equal" in done.out


def test_an_encoder_differs_nowhere_either(las, encoder_netlist: Path, lines: Path) -> None:
    words = ("--text", lines, "--max-tokens", "30", "--backend-a", "step")
    done = las("las-diff", encoder_netlist, encoder_netlist, *words)
    assert (done.code, done.err) == (0, "")
    assert " tokens are equal" in done.out


def test_one_weight_s_first_spike_is_named(las, netlist: Path, text: Path, tmp_path: Path) -> None:
    name = linear(netlist)
    other = spoiled(netlist, tmp_path / "other.h5", name, flip)
    done = las("las-diff", netlist, other, "--text", text, "--max-tokens", "30")
    assert (done.code, done.err) == (0, "")  # another netlist may differ
    step = load(netlist).populations[name].sends[-1]
    assert f"first difference: token 0, step {step}: {name}[5] sent " in done.out


def test_one_netlist_that_differs_from_itself_exits_1(
    las, netlist: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stepper is given another weight, as a faulty engine would have."""
    import typer

    from hwsim.backends.step import stepper
    from hwsim.commands import las_diff

    name, kept = linear(netlist), stepper.Stepper.__init__

    def faulty(self, net, on_spike=None) -> None:
        kept(self, net, on_spike)
        for deliveries in self.deliveries.values():
            for delivery in deliveries:
                if delivery.group.target == name and delivery.weights is not None:
                    delivery.weights[5] ^= 1

    monkeypatch.setattr(stepper.Stepper, "__init__", faulty)
    with pytest.raises(typer.Exit) as end:
        las_diff.diff(netlist, netlist, text, backend_b="step", max_tokens=10, quiet=True)
    assert end.value.exit_code == 1
    made = diff(netlist, netlist, text, backends=("fast", "step"), max_tokens=10)
    assert made.spikes is not None
    assert made.spikes["difference"]["population"] == name


def test_a_model_beside_itself(las, decoder: Path, text: Path, copy, tmp_path: Path) -> None:
    done = las("las-diff", decoder, copy(decoder), "--text", text, "--max-tokens", "40")
    assert (done.code, done.err) == (0, "")
    assert "largest carried    0 at " in done.out


def test_netlists_of_other_options(
    las, netlist: Path, decoder: Path, text: Path, tmp_path: Path
) -> None:
    short = tmp_path / "short.h5"
    words = ("--calibrate", text, "--steps", "8", "-q")
    assert las("las-compile", decoder, "-o", short, *words).code == 0
    done = las("las-diff", netlist, short, "--text", text, "--max-tokens", "40")
    assert (done.code, done.err) == (0, "")
    assert "cannot be compared one by one: " in done.out
    assert "has other time steps in the second" in done.out


def test_las_eval_writes_the_same_error(
    las, netlist: Path, decoder: Path, text: Path, tmp_path: Path
) -> None:
    plain = tmp_path / "depth.json"
    words = ("--text", text, "--reference", decoder, "--max-tokens", "24")
    done = las("las-eval", netlist, *words, "--depth", plain)
    assert (done.code, done.err) == (0, "")
    assert "perplexity" in done.out
    made = json.loads(plain.read_text())
    assert made["tokens"] == 23  # the last is only predicted
    sound = diff(decoder, netlist, text, max_tokens=23)
    assert [row["node"] for row in made["nodes"]] == [row.node for row in sound.rows]
    assert [row["added"] for row in made["nodes"]] == [row.added for row in sound.rows]
    alone = las("las-eval", netlist, "--text", text, "--depth", plain)
    assert alone.code == 2
    assert "give --text FILE and --reference MODEL too" in alone.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("{netlist}", "absent.h5", "--text", "{text}"), "absent.h5: no such file"),
        (("absent", "{netlist}", "--text", "{text}"), "absent: no such file"),
        (("{encoder}", "{netlist}", "--text", "{text}"), "compare a model with its own netlist"),
        (("{decoder}", "{netlist}", "--text", "absent.txt"), "absent.txt: cannot be read"),
        (("{decoder}", "{netlist}", "--text", "{text}", "--backend-b", "x"), "unknown backend"),
        (("{decoder}", "{netlist}", "--text", "{text}", "--budget", "-1"), "las-diff --help"),
        (
            ("{decoder}", "{netlist}", "--text", "{text}", "-o", "absent/x.html"),
            "cannot be written",
        ),
        (("{text}", "{netlist}", "--text", "{text}"), "help: "),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    las, netlist: Path, decoder: Path, encoder: Path, text: Path, words: tuple[str, ...], said: str
) -> None:
    known = {"netlist": netlist, "decoder": decoder, "encoder": encoder, "text": text}
    done = las("las-diff", *(word.format(**known) for word in words))
    assert done.code == 2
    assert said in done.err
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer

import hwsim
from compiler.netlist.hdf5 import load, save
from hwsim import generate
from hwsim.backends.lava.runtime import installed
from hwsim.backends.step import stepper
from hwsim.commands.las_run import Writer
from hwsim.measure.continuation import first_difference
from hwsim.measure.first_spike import spikes_beside

PROMPT = "the cat"


def test_the_continuation_is_printed(las_process, netlist: Path, decoder: Path) -> None:
    words = ("--prompt", PROMPT, "--max-new-tokens", "6", "--reference", decoder)
    done = las_process("las-run", netlist, *words, "--check", "step")
    assert (done.code, done.err) == (0, "")
    made = hwsim.run(netlist, PROMPT, max_new_tokens=6)
    assert made.text is not None
    assert done.out.startswith(made.text + "\n")
    assert "fast and step agree on all " in done.out
    assert "reference" in done.out


def test_json_holds_all_of_it(las, netlist: Path, decoder: Path) -> None:
    done = las(
        "las-run", netlist, "--tokens", "0,21,9,6", "--max-new-tokens", "5", "--backend", "step",
        "--check", "fast", "--check-tokens", "6", "--reference", decoder, "--json",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    made = json.loads(done.out)
    assert made["prompt"] == [0, 21, 9, 6]
    assert len(made["tokens"]) == 5
    assert made["stop"] == "length"
    assert made["check"]["backends"] == ["step", "fast"]
    assert made["check"]["tokens"] == 6
    assert made["check"]["spikes"] > 1000
    assert made["check"]["difference"] is None
    other = made["reference"]
    assert len(other["tokens"]) == 5
    assert other["first_difference"] == first_difference(made["tokens"], other["tokens"])


def test_every_backend_writes_the_same(netlist: Path) -> None:
    backends = ["fast", "step", *(["lava"] if installed() else [])]
    made = [hwsim.run(netlist, "a", max_new_tokens=2, backend=name).tokens for name in backends]
    assert made == made[:1] * len(backends)


def test_it_stops_at_the_context(netlist: Path) -> None:
    made = hwsim.run(load(netlist), "the cat sat on the", max_new_tokens=99)
    assert made.stop == "context"
    assert len(made.prompt) + len(made.tokens) == 24 + 1  # the last token is not fed again


def test_it_stops_at_an_end_token(netlist: Path) -> None:
    net = load(netlist)
    first = hwsim.run(net, PROMPT, max_new_tokens=3).tokens
    net.provenance["end_tokens"] = [first[2]]
    made = hwsim.run(net, PROMPT, max_new_tokens=9)
    assert made.tokens == first[: first.index(first[2])]
    assert made.stop == "end token"


def test_a_draw_depends_on_its_seed_alone(netlist: Path) -> None:
    net = load(netlist)
    drawn = [
        hwsim.run(net, PROMPT, max_new_tokens=8, temperature=2.0, seed=seed).tokens
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_netlist_without_tokenizer_takes_ids(las, netlist: Path, tmp_path: Path) -> None:
    net = load(netlist)
    net.tokenizer = None
    bare = tmp_path / "bare.h5"
    save(net, bare)
    done = las("las-run", bare, "--tokens", "3,4", "--max-new-tokens", "2")
    assert (done.code, done.err) == (0, "")
    assert all(word.isdecimal() for word in done.out.split("\n")[0].split())
    refused = las("las-run", bare, "--prompt", PROMPT)
    assert refused.code == 2
    assert "--tokens 1,2,3" in refused.err


def test_a_difference_is_named_and_exits_1(netlist: Path, monkeypatch) -> None:
    """The stepper is given one other weight: the first spike that differs is found."""
    net = load(netlist)
    name = net.output
    group = next(group for group in net.into(name) if hasattr(group.form, "weights"))
    weights = group.form.weights.load().copy()
    weights[3] ^= 1
    kept = stepper.Stepper.__init__

    def spoiled(self, net, on_spike=None) -> None:
        kept(self, net, on_spike)
        for delivery in self.deliveries[group.source]:
            if delivery.group.target == name:
                delivery.weights = weights.astype(np.int64)

    monkeypatch.setattr(stepper.Stepper, "__init__", spoiled)
    compared = spikes_beside((net, net), ("fast", "step"), [[2, 3], [4]])
    difference = compared["difference"]
    assert [difference[key] for key in ("population", "compartment", "token")] == [name, 3, 0]
    assert compared["spikes"] > 0

    from hwsim.commands import las_run

    said: list[str] = []
    monkeypatch.setattr(las_run, "print_error", said.append)
    with pytest.raises(typer.Exit) as end:
        las_run.run(netlist, prompt=PROMPT, max_new_tokens=1, check="step", quiet=True)
    assert end.value.exit_code == 1
    assert "fast and step differ: token 0, step " in said[0]
    assert f"{name}[3] sent " in said[0]


def test_text_comes_whole_characters_at_a_time(netlist: Path) -> None:
    net = load(netlist)
    shown: list[str] = []
    writer = Writer(net, [0], shown.append)
    for token in generate.tokenizer(net).encode("dog.", add_special_tokens=False).ids:
        writer.token(token)
    assert "".join(shown) == "dog."


def test_an_encoder_is_sent_to_las_eval(las, encoder_netlist: Path) -> None:
    done = las("las-run", encoder_netlist, "--prompt", PROMPT)
    assert done.code == 2
    assert "las-eval NETLIST --text FILE" in done.err
    assert done.err.count("\n") == 1

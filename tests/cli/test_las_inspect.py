from __future__ import annotations

import json
from pathlib import Path

from compiler.netlist.hdf5 import load
from compiler.netlist.text import text


def test_it_shows_what_is_inside(las_process, netlist: Path) -> None:
    done = las_process("las-inspect", netlist)
    assert (done.code, done.err) == (0, "")
    for fact in ("las_neuro netlist, version", "llama, decoder", "loihi2", "steps per token",
                 "integrate", "dense", "provenance:", "model.safetensors: "):  # fmt: skip
        assert fact in done.out


def test_json_holds_the_same(las, netlist: Path) -> None:
    done = las("las-inspect", netlist, "--json")
    made, net = json.loads(done.out), load(netlist)
    assert made["schedule"]["steps_per_token"] == net.period
    assert sum(row["populations"] for row in made["kinds"]) == len(net.populations)
    assert sum(row["compartments"] for row in made["layers"]) == sum(
        population.n for population in net.populations.values()
    )
    assert sum(row["groups"] for row in made["synapses"]) == len(net.synapses)
    assert made["provenance"] == net.provenance


def test_all_lists_every_population(las, encoder_netlist: Path) -> None:
    done = las("las-inspect", encoder_netlist, "--all")
    assert done.code == 0
    assert done.out.endswith(text(load(encoder_netlist)))

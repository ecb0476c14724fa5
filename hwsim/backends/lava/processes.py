"""Lava processes and their models.  Only the child process of a run imports this file, and Lava.

fine    one process per population, and Lava's own Dense, Sparse or LearningDense processes for each
        synapse group, which delay spikes by one step and so break loops.
fused   one process per shard.  It steps, sends, and only then receives: spikes of step t arrive at
        t + 1, and no loop of processes can deadlock.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires
from lava.magma.core.learning.constants import GradedSpikeCfg
from lava.magma.core.learning.learning_rule import Loihi2FLearningRule, Loihi3FLearningRule
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.dense.models import PyLearningDenseModelBitApproximate
from lava.proc.dense.process import Dense as LavaDense
from lava.proc.dense.process import LearningDense
from lava.proc.sparse.process import Sparse as LavaSparse
from lava.utils.weightutils import SignMode

from compiler.netlist.model import SLICE_BITS, Netlist, Written
from hwsim.backends.lava.cell import Cell, Shard, in_word, ticks
from hwsim.backends.lava.files import write_failure, write_spikes
from hwsim.backends.lava.plan import Job, edges, shards
from hwsim.backends.lava.synapses import is_dense, matrix, reach, shift, width, written_reach
from hwsim.backends.lava.written import COLUMNS, ROWS, block_name, blocks, by_rows, taps
from las_neuro.integers import WORD_BITS, Ints

Models = dict[AbstractProcess, type[PyLoihiProcessModel]]


class Chunk(AbstractProcess):  # type: ignore[misc]
    """A part of a netlist, as a process with any ports and no variables.

    ins, outs: sizes of ports by name.  task: parameters for the process model.
    """

    def __init__(self, name: str, ins: dict[str, int], outs: dict[str, int], **task: Any) -> None:
        super().__init__(name=name, **task)
        for port, n in (ins | {"tie_in": 1}).items():
            setattr(self, port, InPort(shape=(n,)))
        for port, n in (outs | {"tie_out": 1}).items():
            setattr(self, port, OutPort(shape=(n,)))


@implements(proc=Chunk, protocol=LoihiProtocol)
@requires(CPU)
class ChunkModel(PyLoihiProcessModel):  # type: ignore[misc]
    """Runs step by step, reports errors, and writes its spikes at the end."""

    tie_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=1)
    tie_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=1)

    def run_spk(self) -> None:
        job: Job = self.proc_params["job"]
        try:
            if self.time_step == 1:
                self.ticks = ticks(job.net, job.tokens)
                self.prepare(job)
            self.tie_out.send(np.zeros(1, np.int32))
            self.tie_in.recv()
            self.advance(self.ticks[self.time_step - 1])
            if self.time_step == len(self.ticks):
                index = {name: i for i, name in enumerate(job.net.populations)}
                for cell in self.cells():
                    name = cell.population.name
                    write_spikes(job.folder, index[name], cell, name == job.net.output)
        except Exception as error:
            write_failure(job.folder, f"Lava's process of {self.proc_params['what']}", error)
            raise

    def cell(self, job: Job, name: str) -> Cell:
        return Cell(job.net.populations[name], job.rows.get(name), job.keep)


class PopulationModel(ChunkModel):
    """Mode fine: receive, step, send, like any neuron of Lava."""

    def prepare(self, job: Job) -> None:
        self.own = self.cell(job, self.proc_params["what"])

    def cells(self) -> list[Cell]:
        return [self.own]

    def advance(self, tick: tuple[int, int]) -> None:
        population = self.own.population
        where = f"at token {tick[0]}, step {tick[1]}"
        sums = {port: getattr(self, f"to_{port}").recv() for port in population.does.ports}
        for name, port, compartments in self.proc_params["blocks"]:
            sums[port] = sums[port].copy()
            sums[port][compartments] += getattr(self, name).recv()
        payload = None
        if tick[1] in self.own.place:
            arriving = {
                port: in_word(x, f"sum into {population.name}.{port} {where}")
                for port, x in sums.items()
            }
            payload = self.own.step(tick, arriving)
        for tap in self.proc_params["taps"]:
            getattr(self, tap.port).send(tap.of(payload).astype(np.int32))
        if payload is None:
            payload = np.zeros(population.n, np.int64)
        else:
            for bound in self.proc_params["reaches"]:
                bound.check(payload)
        self.out.send(payload.astype(np.int32))


class ShardModel(ChunkModel):
    """Mode fused: step, send, receive, deliver."""

    def prepare(self, job: Job) -> None:
        names: list[str] = self.proc_params["names"]
        self.shard = Shard(job.net, [self.cell(job, name) for name in names])
        self.size = {name: population.n for name, population in job.net.populations.items()}

    def cells(self) -> list[Cell]:
        return list(self.shard.cells.values())

    def advance(self, tick: tuple[int, int]) -> None:
        payloads = self.shard.step(tick)
        for port, names in self.proc_params["sends"].items():
            parts = [payloads.get(name, np.zeros(self.size[name], np.int64)) for name in names]
            getattr(self, port).send(np.concatenate(parts).astype(np.int32))
        for port, names in self.proc_params["receives"].items():
            parts = np.split(
                getattr(self, port).recv(), np.cumsum([self.size[name] for name in names])[:-1]
            )
            where = f"received at token {tick[0]}, step {tick[1]}"
            payloads |= {
                name: in_word(part, f"payload of {name} {where}")
                for name, part in zip(names, parts, strict=True)
            }
        self.shard.deliver(payloads)


def _model(kind: type[ChunkModel], process: Chunk) -> type[ChunkModel]:
    """A subclass of a model, with the ports that this process has."""
    word = {"d_type": np.int32, "precision": WORD_BITS}
    ports = {port.name: LavaPyType(PyInPort.VEC_DENSE, **word) for port in process.in_ports}
    ports |= {port.name: LavaPyType(PyOutPort.VEC_DENSE, **word) for port in process.out_ports}
    return type(kind.__name__, (kind,), ports)


def fine(job: Job) -> Models:
    """One process per population, connected by Lava's own connection processes."""
    net, models, chunks, outputs = job.net, {}, {}, taps(job.net)
    fixed = [group for group in net.synapses if not isinstance(group.form, Written)]
    matrices = {group.name: matrix(net, group) for group in fixed}
    for name, population in net.populations.items():
        reaches = [
            written_reach(net, group)
            if isinstance(group.form, Written)
            else reach(net, group, matrices[group.name])
            for group in net.out_of(name)
        ]
        inputs = _blocks_into(net, name)
        ins = {f"to_{port}": population.n for port in population.does.ports}
        ins |= {port: len(compartments) for port, _, compartments in inputs}
        outs = {"out": population.n} | {t.port: len(t.compartments) for t in outputs[name]}
        task = {"what": name, "job": job, "reaches": reaches}
        chunk = Chunk(name, ins, outs, taps=outputs[name], blocks=inputs, **task)
        chunks[name] = chunk
        models[chunk] = _model(PopulationModel, chunk)
    for group in fixed:
        connection = (LavaDense if is_dense(group) else LavaSparse)(
            weights=matrices[group.name],
            weight_exp=-shift(group),
            num_weight_bits=width(group),
            num_message_bits=WORD_BITS,
            sign_mode=SignMode.MIXED,
            name=group.name,
        )
        chunks[group.source].out.connect(connection.s_in)
        connection.a_out.connect(getattr(chunks[group.target], f"to_{group.port}"))
    pairs = [(group.source, group.target) for group in net.synapses]
    for number, group in enumerate(net.synapses):
        if isinstance(group.form, Written):
            pairs += [(group.form.value, group.target), (group.form.pointer, group.target)]
            for process in _learning(net, number, chunks):
                models[process] = PyLearningDenseModelBitApproximate
    _tie(chunks, pairs)
    return models


def _blocks_into(net: Netlist, name: str) -> list[tuple[str, str, Ints]]:
    """Input ports of a population for the blocks of written groups: name, port, compartments."""
    return [
        (f"from_{block_name(number, i)}", group.port, block.post)
        for number, group in enumerate(net.synapses)
        if group.target == name and isinstance(group.form, Written)
        for i, block in enumerate(blocks(group, net))
    ]


def _learning(net: Netlist, number: int, chunks: dict[str, Chunk]) -> Iterator[LearningDense]:
    """The processes of a written group, one for each block and slice, connected."""
    group = net.synapses[number]
    form, rows = group.form, by_rows(group, net)
    assert isinstance(form, Written)
    source, target = chunks[group.source], chunks[group.target]
    value, pointer = chunks[form.value], chunks[form.pointer]
    for i, block in enumerate(blocks(group, net)):
        name = block_name(number, i)
        for place in range(form.slices):
            # A trace that never decays: x1 is overwritten whenever it is used.
            rule = (
                Loihi2FLearningRule(dw=ROWS, x1_impulse=0, x1_tau=2**60, t_epoch=1)
                if rows
                else Loihi3FLearningRule(dw=COLUMNS, t_epoch=1)
            )
            learning = LearningDense(
                weights=np.zeros((len(block.post), len(block.pre))),
                learning_rule=rule,
                weight_exp=SLICE_BITS * place,
                num_message_bits=WORD_BITS,
                graded_spike_cfg=GradedSpikeCfg.OVERWRITE
                if rows
                else GradedSpikeCfg.USE_REGULAR_IMPULSE,
                name=f"{name}_{place}",
            )
            getattr(source, f"read_{name}").connect(learning.s_in)
            digits, slot = getattr(value, f"write_{name}_{place}"), getattr(pointer, f"slot_{name}")
            if rows:
                digits.connect(learning.s_in)
                slot.connect(learning.s_in_bap)
            else:
                slot.connect(learning.s_in)
                digits.connect(learning.s_in_y1)
                getattr(value, f"enable_{name}").connect(learning.s_in_bap)
            learning.a_out.connect(getattr(target, f"from_{name}"))
            yield learning


def fused(job: Job) -> Models:
    """One process per shard, connected directly."""
    net, parts = job.net, shards(job.net)
    links = edges(net, parts)
    width = {ends: sum(net.populations[name].n for name in links[ends]) for ends in links}
    models, chunks = {}, {}
    for i, names in enumerate(parts):
        outs = {f"to_{b}": (a, b) for a, b in links if a == i}
        ins = {f"from_{a}": (a, b) for a, b in links if b == i}
        layers = sorted({net.populations[name].layer for name in names})
        chunk = Chunk(
            f"shard {i}",
            {port: width[ends] for port, ends in ins.items()},
            {port: width[ends] for port, ends in outs.items()},
            what=f"layers {layers[0]} to {layers[-1]}",
            job=job,
            names=names,
            sends={port: links[ends] for port, ends in outs.items()},
            receives={port: links[ends] for port, ends in ins.items()},
        )
        chunks[i] = chunk
        models[chunk] = _model(ShardModel, chunk)
    for a, b in links:
        getattr(chunks[a], f"to_{b}").connect(getattr(chunks[b], f"from_{a}"))
    _tie(chunks, list(links))
    return models


def _tie(chunks: dict[Any, Chunk], pairs: list[tuple[Any, Any]]) -> None:
    """Connect the parts of the graph: Lava runs only what it can reach from one process."""
    import networkx

    graph = networkx.Graph(pairs)
    graph.add_nodes_from(chunks)
    heads = [min(part, key=list(chunks).index) for part in networkx.connected_components(graph)]
    for one, two in pairwise(heads):
        chunks[one].tie_out.connect(chunks[two].tie_in)

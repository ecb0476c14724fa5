"""Every operator a graph may hold, declared once: operands, attributes, weights and meaning.

A graph is at one of three levels.  "model": the operators of a Transformer.  "spiking": what a
published method (`las_neuro.systems`) turns them into; every operator is a spike encoder, a linear
map of spikes, a memory, or a scalar function that compartments can compute.  "phased": the same
after `split_phases`, which gives every node its phase and inserts `wait`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from las_neuro.graph.attributes import (
    AXIS,
    BOOLEAN,
    INTEGER,
    LEVELS,
    MODEL,
    PHASED,
    REAL,
    SIGNS,
    SPIKING,
    VECTOR,
    Attribute,
    Level,
    Weight,
    instance_of,
    one_of,
    tuple_of,
)

ACTIVATIONS = {"gelu", "gelu_tanh", "quick_gelu", "silu", "tanh", "logistic", "relu"}
FUNCTIONS = ACTIVATIONS | {"reciprocal", "inverse_sqrt"}
SOURCES = ("token", "position", "type", "patch")
OUTPUTS = ("logits", "hidden", "classes")


@dataclass(frozen=True)
class Op:
    """One operator.  operands: their names, in order; many: the last one may occur several times.

    levels: those of the graphs that may hold it.
    """

    name: str
    operands: tuple[str, ...]
    meaning: str
    levels: tuple[Level, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    weights: Mapping[str, Weight] = field(default_factory=dict)
    many: bool = False


# Attributes and weights that several operators share.

PHASE = Attribute(
    INTEGER, "all tokens run through a phase before any enters the next", since=PHASED, by=PHASED
)
TABLE_ERROR = Attribute(
    REAL,
    "the largest error of its table of lines: in last places for a bounded function, else as a "
    "share of the value; None: the default",
    default=None,
    since=SPIKING,
)
TABLE = {"table": Weight("[rows, n]; none for a patch", required=False)}
EPS = {"eps": Attribute(REAL, "added to the variance or mean square")}
LOOK_UP = {
    "source": Attribute(
        one_of(SOURCES),
        'what selects the row: the "token", its "position" or its "type"; or "patch": no table, '
        "the caller supplies each token's values",
    ),
    "offset": Attribute(INTEGER, "added to the row's number", default=0),
}
CODE = instance_of("Code", "Firing")
SUMMED = {
    "axis": Attribute(AXIS, "the axis that is summed over"),
    "factor": Attribute(REAL, "what the sum is multiplied by"),
}


def _of_model(
    name: str,
    operands: tuple[str, ...],
    meaning: str,
    attributes: Mapping[str, Attribute] | None = None,
    weights: Mapping[str, Weight] | None = None,
) -> Op:
    return Op(name, operands, meaning, (MODEL,), attributes or {}, weights or {})


def _spiking(
    name: str,
    operands: tuple[str, ...],
    meaning: str,
    attributes: Mapping[str, Attribute] | None = None,
    weights: Mapping[str, Weight] | None = None,
    levels: tuple[Level, ...] = (SPIKING, PHASED),
    many: bool = False,
) -> Op:
    declared = {**(attributes or {}), "phase": PHASE}
    return Op(name, operands, meaning, levels, declared, weights or {}, many)


_MODEL_OPS = (
    _of_model("embed", (), "row id + offset of a table, looked up by the host", LOOK_UP, TABLE),
    _of_model("add", ("x", "y"), "x + y"),
    _of_model("multiply", ("x", "y"), "x * y"),
    _of_model(
        "layer_norm",
        ("x",),
        "gain * (x - mean) / sqrt(variance + eps) + bias",
        EPS,
        {"gain": Weight("[n]"), "bias": Weight("[n]")},
    ),
    _of_model(
        "rms_norm", ("x",), "gain * x / sqrt(mean square + eps)", EPS, {"gain": Weight("[n]")}
    ),
    _of_model(
        "rotate",
        ("x",),
        "x cos + half_turn(x) sin within each head (RoFormer, eq. 34, half-turn layout)",
        {"heads": Attribute(INTEGER, "heads that x holds")},
        {"cos": Weight("[context, d_rot]"), "sin": Weight("[context, d_rot]")},
    ),
    _of_model(
        "attend",
        ("q", "k", "v"),
        "softmax(scale q k^T) v",
        {
            "heads": Attribute(INTEGER, "heads of q"),
            "kv_heads": Attribute(INTEGER, "heads of k and v"),
            "causal": Attribute(BOOLEAN, "a token attends to none after it"),
            "scale": Attribute(REAL, "what scores are multiplied by"),
            "window": Attribute(
                INTEGER, "tokens that a token attends to: itself and those before it"
            ),
        },
    ),
)

_SHARED_OPS = (
    _spiking(
        "linear",
        ("x",),
        "weight x + bias; in a spiking graph x is a spike train",
        {
            "weight_bits": Attribute(INTEGER, "bits of a weight, 2 to 8", default=8, since=SPIKING),
            "learned_bits": Attribute(
                INTEGER,
                "bits of the activations for which clips and scales are learned; None: they are "
                "not learned",
                default=None,
                since=SPIKING,
            ),
            "clip": Attribute(
                VECTOR,
                "share of each row's largest weight that is not clipped [n_post]",
                default=None,
                since=SPIKING,
            ),
            "rounded": Attribute(
                instance_of("Quantized"),
                "the rounded weights; None: rounded to nearest when lowered",
                default=None,
                since=SPIKING,
            ),
            "planes": Attribute(INTEGER, "int8 planes of a weight, 1 or 2", 1, since=SPIKING),
        },
        {"weight": Weight("[n_post, n_pre]"), "bias": Weight("[n_post]", required=False)},
        LEVELS,
    ),
    _spiking(
        "function",
        ("x",),
        "fn(x), element by element",
        {
            "fn": Attribute(one_of(FUNCTIONS), "its name; in a model graph one of ACTIVATIONS"),
            "few_spikes": Attribute(
                tuple_of("SubDomain"),
                "a user's few-spikes tables of it; None: a table of lines is fitted",
                default=None,
                since=SPIKING,
            ),
            "hg_error": TABLE_ERROR,
        },
        levels=LEVELS,
    ),
    _spiking(
        "output",
        ("x",),
        "read-out by the host",
        {
            "kind": Attribute(
                one_of(OUTPUTS),
                'how the host uses it.  "logits": argmax or sampling; "hidden": pooled by the '
                'caller; "classes": those of the first token are the answer',
            )
        },
        levels=LEVELS,
    ),
)

_ENCODING_OPS = (
    _spiking("input", (), "row id + offset of a table, looked up by the host", LOOK_UP, TABLE),
    _spiking(
        "encode",
        ("x",),
        "x as a spike train",
        {
            "signed": Attribute(BOOLEAN, "x may be negative; unsigned values lie in (0, 1]"),
            "code": Attribute(CODE, "how a value becomes spikes", by=PHASED),
            "digits": Attribute(
                INTEGER,
                "binary digits that an error budget chose; None: as many as the system uses",
                default=None,
            ),
            "trained": Attribute(
                INTEGER,
                "time steps that the model's own neurons were trained with; 0: none",
                default=0,
            ),
            "spread": Attribute(
                VECTOR, "each channel's threshold divided by the code's, [n] or [1]", default=None
            ),
        },
    ),
    _spiking(
        "leak",
        ("m",),
        "what a potential m leaves for the next repetition: LEAK * m * (alpha - sent)",
        {"code": Attribute(CODE, "code of the neuron that has this potential")},
    ),
)

_VALUE_OPS = (
    _spiking(
        "affine",
        ("x",),
        "gain x + bias",
        weights={
            "gain": Weight("[n] or [1]"),
            "bias": Weight("[n] or [1]", required=False),
        },
    ),
    _spiking(
        "sum",
        ("x",),
        "sum_i sign_i x_i; operands are broadcast over the axes they lack",
        {"signs": Attribute(SIGNS, "one per operand")},
        many=True,
    ),
    _spiking("reduce", ("x",), "factor * sum of x over an axis", SUMMED),
    _spiking("offset", ("x",), "x + constant", {"constant": Attribute(REAL, "what is added")}),
    _spiking("product", ("a", "b"), "a * b; operands are broadcast over the axes they lack"),
    _spiking("square", ("x",), "x * x"),
    _spiking(
        "exponential",
        ("x", "reference"),
        "exp(x - reference); the reference is broadcast over the axes it lacks",
        {"hg_error": TABLE_ERROR},
    ),
    _spiking(
        "maximum",
        ("x",),
        "maximum of x over an axis",
        {"axis": Attribute(AXIS, "the axis whose maximum is taken")},
    ),
    _spiking(
        "turn",
        ("x",),
        "out[i] = sign[i] * x[index[i]]",
        {
            "index": Attribute(VECTOR, "which value goes to each place [n]"),
            "sign": Attribute(VECTOR, "1 or -1 [n]"),
        },
    ),
    _spiking("view", ("x",), "the same flat values under other axes; nothing is computed"),
)

_MEMORY_OPS = (
    _spiking(
        "memory",
        ("x",),
        "x {k, d} of token t goes to slot t % j: {h, j, d}",
        {
            "groups": Attribute(INTEGER, "query heads that share a key-value head, h / k"),
            "planes": Attribute(
                INTEGER, "weight planes of the model; stored values get bits to match", 1
            ),
            "bits": Attribute(INTEGER, "bits of a stored value; None: the default", default=None),
            "lift": Attribute(
                VECTOR,
                "how many binary digits coarser each channel's steps are [k * d]; None: 0",
                default=None,
            ),
            "unit": Attribute(
                REAL, "unit of a stored value; None: from its calibrated range", default=None
            ),
        },
    ),
    _spiking("recall", ("memory", "spikes"), "their product summed over axis d or j", SUMMED),
    _spiking("wait", ("x",), "x of an earlier phase, kept for every token", levels=(PHASED,)),
)

OPS: Mapping[str, Op] = MappingProxyType(
    {op.name: op for op in (*_MODEL_OPS, *_SHARED_OPS, *_ENCODING_OPS, *_VALUE_OPS, *_MEMORY_OPS)}
)


def at_level(level: Level) -> set[str]:
    """Names of the operators that a graph of that level may hold."""
    return {op.name for op in OPS.values() if level in op.levels}

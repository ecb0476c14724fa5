"""What every family needs: its config checked field by field, and the words for activations."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from las_neuro.checkpoint import Checkpoint, Weights
from las_neuro.errors import ConfigError, UnsupportedError
from las_neuro.graph import Graph, Tensor, Value

Count = Annotated[int, Field(ge=1, le=2**24)]  # bounds keep a hostile config from running forever
Layers = Annotated[int, Field(ge=1, le=1024)]
Epsilon = Annotated[float, Field(gt=0, le=0.1, allow_inf_nan=False)]

# config.json's word -> FUNCTIONS; "gelu_fast" and "gelu_new" are the same tanh formula.
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "relu": "relu",
    "sigmoid": "logistic",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
}


class FamilyConfig(BaseModel):
    """Fields of config.json that change the graph; defaults are those of transformers."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    model_type: str
    vocab_size: Count
    max_position_embeddings: Count
    quantization_config: dict[str, Any] | None = None

    @property
    def longest(self) -> int:
        """Most tokens a sequence."""
        return self.max_position_embeddings


FamilyConfigT = TypeVar("FamilyConfigT", bound=FamilyConfig)


def check_config(model: type[FamilyConfigT], checkpoint: Checkpoint) -> FamilyConfigT:
    """The family's config, or `ConfigError` naming the first wrong field, its value, the rule."""
    path = checkpoint.config_path
    try:
        config = model.model_validate(dict(checkpoint.config))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        value = "" if first["type"] == "missing" or not field else f" = {first['input']!r:.60}"
        subject = f"{field}{value}: " if field else ""
        raise ConfigError(
            f"{path}: {subject}{first['msg'].removeprefix('Value error, ')}",
            "correct config.json, or fetch it again",
        ) from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deep", "fetch config.json again") from error
    if config.quantization_config is not None:
        raise UnsupportedError(
            f"{path}: the weights are quantised (quantization_config)",
            "use the float checkpoint; the compiler quantises for the chip itself",
        )
    return config


def activation(word: str) -> str:
    """The graph's function for config.json's activation."""
    if word not in ACTIVATIONS:
        raise UnsupportedError(
            f"activation {word!r} is not known", f"use one of {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[word]


def require_divisible(what: str, total: int, by: str, parts: int) -> None:
    """For pydantic validators: `what` must split evenly."""
    if total % parts:
        raise ValueError(f"{what} {total} does not divide by {by} {parts}")


def first_rows(table: Tensor, rows: int) -> Tensor:
    """The first `rows` of a position table [all, D]: a shorter context needs no more."""
    if rows == table.shape[0]:
        return table
    return Tensor(table.name, (rows, *table.shape[1:]), lambda: table.load()[:rows].copy())


def linear(g: Graph, w: Weights, name: str, x: Value, out: int, has_bias: bool = True) -> Value:
    """`name.weight` [out, n] and, where it has one, `name.bias` [out], on x [n]."""
    bias = w[f"{name}.bias", (out,)] if has_bias else None
    return g.linear(name, x, w[f"{name}.weight", (out, g[x.name].size)], bias)


def layer_norm(g: Graph, w: Weights, name: str, x: Value, eps: float) -> Value:
    """`name.weight` and `name.bias` [n] as gain and bias of a layer norm of x [n]."""
    shape = (g[x.name].size,)
    return g.layer_norm(name, x, w[f"{name}.weight", shape], w[f"{name}.bias", shape], eps)

"""What every family needs: a config checked field by field, names of activations, linear maps."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from las_neuro.checkpoint import Checkpoint, Weights
from las_neuro.errors import ConfigError, UnsupportedError
from las_neuro.graph import Graph, Tensor, Value

Count = Annotated[int, Field(ge=1, le=2**24)]  # bounded: no config.json can run forever
Layers = Annotated[int, Field(ge=1, le=1024)]
Epsilon = Annotated[float, Field(gt=0, le=0.1, allow_inf_nan=False)]

# config.json's name -> the graph's function; "gelu_fast" and "gelu_new" are the same tanh formula.
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
        """Largest number of tokens in a sequence."""
        return self.max_position_embeddings


FamilyConfigT = TypeVar("FamilyConfigT", bound=FamilyConfig)


def check_config(model: type[FamilyConfigT], checkpoint: Checkpoint) -> FamilyConfigT:
    """The family's config.

    Raises `ConfigError` naming the first wrong field, its value and the rule it breaks, and
    `UnsupportedError` for quantised weights.
    """
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
            "correct config.json, or download it again",
        ) from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply", "download config.json again") from error
    if config.quantization_config is not None:
        raise UnsupportedError(
            f"{path}: the weights are quantised (quantization_config)",
            "use the float checkpoint: the compiler quantises the weights itself",
        )
    return config


def activation(name: str) -> str:
    """The graph's function for config.json's activation; raises `UnsupportedError`."""
    if name not in ACTIVATIONS:
        raise UnsupportedError(
            f"activation {name!r} is not supported", f"use one of {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[name]


def require_divisible(what: str, total: int, by: str, parts: int) -> None:
    """For pydantic validators: raises ValueError unless `total` is a multiple of `parts`."""
    if total % parts:
        raise ValueError(f"{what} {total} is not divisible by {by} {parts}")


def first_rows(table: Tensor, rows: int) -> Tensor:
    """The first `rows` of a position table [positions, D]; a shorter context needs no more."""
    if rows == table.shape[0]:
        return table
    return Tensor(table.name, (rows, *table.shape[1:]), lambda: table.load()[:rows].copy())


def linear(g: Graph, w: Weights, name: str, x: Value, out: int, has_bias: bool = True) -> Value:
    """The linear map `name.weight` [out, n], with `name.bias` [out] if it has one, of x [n]."""
    bias = w[f"{name}.bias", (out,)] if has_bias else None
    return g.linear(name, x, w[f"{name}.weight", (out, g[x.name].size)], bias)


def layer_norm(g: Graph, w: Weights, name: str, x: Value, eps: float) -> Value:
    """Layer norm of x [n] with gain `name.weight` [n] and bias `name.bias` [n]."""
    shape = (g[x.name].size,)
    return g.layer_norm(name, x, w[f"{name}.weight", shape], w[f"{name}.bias", shape], eps)

"""RoBERTa (arXiv 1907.11692), XLM-RoBERTa: BERT whose positions count from the padding token's id.

The rows up to that id are for padding, so the longest text is shorter than the position table: 512
tokens for 514 rows.  Texts have no padding here; a padding token is read like any other.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from las_neuro.architectures import bert
from las_neuro.architectures.family import Count
from las_neuro.checkpoint import Checkpoint
from las_neuro.graph import Graph

MODEL_TYPES = ("roberta", "xlm-roberta")


class Config(bert.Config):
    """transformers' RobertaConfig."""

    pad_token_id: Annotated[int, Field(ge=0, le=2**24)] = 1
    max_position_embeddings: Count = 512

    @model_validator(mode="after")
    def _some_position_is_left(self) -> Config:
        if self.longest < 1:
            rows = self.max_position_embeddings
            raise ValueError(
                f"pad_token_id {self.pad_token_id} leaves no position of {rows} for tokens"
            )
        return self

    @property
    def first_position(self) -> int:
        return self.pad_token_id + 1

    @property
    def longest(self) -> int:
        return self.max_position_embeddings - self.first_position


def build(cfg: Config, checkpoint: Checkpoint, context: int) -> Graph:  # -> hidden [D]
    return bert.encoder(cfg, checkpoint, context, "roberta.", cfg.first_position)

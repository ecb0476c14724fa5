"""The checkpoint as transformers runs it, in float32: the reference for spikes.

Offline and without remote code; weights come from safetensors only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForImageClassification
from transformers.utils import logging

from las_neuro.architectures import draw
from las_neuro.checkpoint import INDEX, Checkpoint
from las_neuro.errors import CheckpointError, UnsupportedError
from las_neuro.graph import Floats, Graph
from las_neuro.neurons.fas_tables import FasTables
from las_neuro.rows import Tokens
from las_neuro.training.elastic import with_neurons
from las_neuro.training.qcfs import Neuron, places, put

AUTO = {
    "logits": AutoModelForCausalLM,
    "hidden": AutoModel,
    "classes": AutoModelForImageClassification,
}


@dataclass(frozen=True)
class FloatModel:
    """transformers' model of a checkpoint; kind: what its graph outputs.

    "logits" of a causal model, "hidden" states of an encoder, "classes" of an image.
    """

    kind: str
    module: Any  # a torch.nn.Module; transformers' own classes differ between versions

    @staticmethod
    def load(checkpoint: Checkpoint) -> FloatModel:
        """Load the model; raises `CheckpointError` for weights that the compiler would refuse."""
        if checkpoint.weights is None:
            raise CheckpointError(
                f"{checkpoint.config_path}: a plan holds no weights to run",
                "open the model instead",
            )
        graph = draw(checkpoint)
        _check_weights(graph)
        kind = str(graph["output"]["kind"])
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        try:
            with TemporaryDirectory() as folder:
                _link(checkpoint, Path(folder))
                module = AUTO[kind].from_pretrained(
                    folder,
                    dtype=torch.float32,
                    attn_implementation="eager",
                    local_files_only=True,
                    trust_remote_code=False,
                    use_safetensors=True,
                )
        except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
            raise CheckpointError(
                f"{checkpoint.folder}: transformers cannot load it ({error!s:.200})",
                "check that config.json belongs to these weights",
            ) from error
        _put_neurons(module, checkpoint)
        return FloatModel(kind, with_neurons(module, checkpoint).eval())

    @property
    def causal(self) -> bool:
        return self.kind == "logits"

    def logits(self, tokens: Tokens) -> Floats:
        """[B, S] -> [B, S, vocabulary]."""
        if not self.causal:
            raise UnsupportedError("an encoder has no logits", "ask for its hidden states")
        logits: Floats = self._run(tokens).logits.numpy()
        return logits

    def hidden(self, tokens: Tokens | Floats) -> Floats:
        """[B, S] -> last hidden states [B, S, D], after the final norm where there is one.

        A vision model takes images [B, channels, height, width].
        """
        if self.kind == "classes":
            raise UnsupportedError("a classifier gives no hidden states", "ask for its classes")
        result = self._run(tokens, output_hidden_states=True)
        last = result.hidden_states[-1] if self.causal else result.last_hidden_state
        hidden: Floats = last.numpy()
        return hidden

    def classes(self, images: Floats) -> Floats:
        """Images [B, channels, height, width] -> scores [B, labels]."""
        if self.kind != "classes":
            raise UnsupportedError("the model has no classifier", "ask for its hidden states")
        scores: Floats = self._run(images).logits.numpy()
        return scores

    def sample(self, starts: Tokens, length: int, seed: int) -> Tokens:
        """Continue `starts` [B, s] to [B, length], drawing each token at temperature 1.

        Raises `CheckpointError` if the logits are not finite.
        """
        generator = torch.Generator().manual_seed(seed)
        tokens, cache, fresh = torch.from_numpy(starts), None, torch.from_numpy(starts)
        while tokens.shape[1] < length:
            with torch.inference_mode():
                result = self.module(fresh, past_key_values=cache, use_cache=True)
            cache = result.past_key_values
            chances = torch.softmax(result.logits[:, -1].double(), dim=-1)
            if not torch.isfinite(chances).all():
                raise CheckpointError(
                    "the model's own text: its logits are not finite",
                    "use a checkpoint whose training did not diverge",
                )
            fresh = torch.multinomial(chances, 1, generator=generator)
            tokens = torch.cat([tokens, fresh], dim=1)
        sequences: Tokens = tokens.numpy()
        return sequences

    def _run(self, inputs: Tokens | Floats, **options: bool) -> Any:
        dtype = np.float32 if inputs.dtype.kind == "f" else np.int64
        with torch.inference_mode():
            return self.module(torch.from_numpy(np.asarray(inputs, dtype)), **options)


def _check_weights(graph: Graph) -> None:
    """Read every weight with our own reader first: transformers accepts NaN."""
    for node in graph:
        for tensor in node.weights.values():
            tensor.load()


def _put_neurons(module: Any, checkpoint: Checkpoint) -> None:
    """Put neurons in the place of the activations of a model that las-finetune made."""
    tables = FasTables.read(checkpoint.folder)
    if tables is None:
        return
    for layer, name in enumerate(places(module, str(checkpoint.config["model_type"]))):
        threshold, initial = (
            torch.from_numpy(np.array(of[layer])) for of in (tables.thresholds, tables.initial)
        )
        put(module, name, Neuron(threshold, initial, tables.steps))


def _link(checkpoint: Checkpoint, folder: Path) -> None:
    """A folder of links holding exactly what the checkpoint is: config.json and its weight files.

    So transformers sees no other file of the model's folder (adapters, pickles, code), and a weight
    file may have any name.
    """
    assert checkpoint.weights is not None
    (folder / "config.json").symlink_to(checkpoint.config_path.resolve())
    for path in checkpoint.files:
        (folder / path.name).symlink_to(path.resolve())
    index = {name: file.path.name for name, file in checkpoint.weights.items()}
    text = json.dumps({"metadata": {}, "weight_map": index})
    (folder / INDEX).write_text(text, encoding="utf-8")
